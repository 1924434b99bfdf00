import { test } from "vitest";
import { isHarmlessXhtml } from "#fhir/validate/xhtml";

const inDiv = (inside: string) => `<div xmlns="http://www.w3.org/1999/xhtml">${inside}</div>`;

test.for([
  "<p>Weight 70 kg</p>",
  'A<br/>B <b class="x">c</b>',
  '<a href="https://example.org/a?b=1&amp;c=2">x</a> <a name="top">y</a> <a href="#top">z</a> <a href="mailto:a@example.org">m</a>',
  "<table><tr><td colspan='2' style='color: red; border: 1px solid'>&lt; 5 &#160; &#xA9;</td></tr></table>",
  '<img src="#pic" alt="x"/><img src="data:image/png;base64,AAAA" />',
  "<!-- a note --><p>x</p>",
  '<p xml:lang="de">ü</p>',
  "  ",
])("a narrative may have %s", (inside, { expect }) => {
  expect(isHarmlessXhtml(inDiv(inside))).toBe(true);
});

test("a div may have no namespace and white space around it", ({ expect }) => {
  expect(isHarmlessXhtml(" <div>x</div>\n")).toBe(true);
});

test.for([
  ["a script", "<script>alert(1)</script>"],
  ["a script in capitals", "<SCRIPT>alert(1)</SCRIPT>"],
  ["a script of SVG", "<svg><script>x</script></svg>"],
  ["an event", '<p onclick="x()">y</p>'],
  ["an event of an image", '<img src="x" onerror="x()"/>'],
  ["a form", '<form action="https://example.org"><input name="x"/></form>'],
  ["a frame", '<iframe src="https://example.org"></iframe>'],
  ["an object", '<object data="x"></object>'],
  ["a stylesheet", '<link rel="stylesheet" href="https://example.org/x.css"/>'],
  ["a base", '<base href="https://example.org/"/>'],
  ["a link that runs", '<a href="javascript:x()">y</a>'],
  ["a link that runs, in disguise", '<a href=" java&#10;script&#58;x()">y</a>'],
  ["a link that runs, in capitals", '<a href="JaVaScRiPt:x()">y</a>'],
  ["a page in a link", '<a href="data:text/html;base64,AAAA">y</a>'],
  ["a picture that may hold a script", '<img src="data:image/svg+xml;base64,AAAA"/>'],
  ["a style that loads", '<p style="background:url(https://example.org/x.png)">y</p>'],
  ["a style that runs", '<p style="width: expression(x())">y</p>'],
  ["a style in escapes", String.raw`<p style="width: e\78pression(x())">y</p>`],
  ["an entity of HTML", "a&nbsp;b"],
  ["a bare ampersand", "a & b"],
  ["a character that XML lacks", "a&#0;b"],
  ["a control", "a\u0001b"],
  ["an element that is left open", "<p>x"],
  ["elements that overlap", "<b><i>x</b></i>"],
  ["an attribute that is there twice", '<p class="a" class="b">x</p>'],
  ["an attribute without quotes", "<p class=a>x</p>"],
  ["a bare less-than", "1 < 2"],
  ["CDATA", "<![CDATA[<script>x</script>]]>"],
  ["a conditional comment", "<!--[if IE]>x<![endif]-->"],
  ["a comment that HTML ends early", "<!--> <script>x</script> -->"],
  ["an instruction", "<?php x ?>"],
  ["another namespace", '<p xmlns="http://www.w3.org/2000/svg">x</p>'],
])("a narrative may not have %s", ([, inside], { expect }) => {
  expect(isHarmlessXhtml(inDiv(inside ?? ""))).toBe(false);
});

test.for([
  "",
  "x",
  "<p>x</p>",
  "<div>x",
  "<div>x</div><div>y</div>",
  "<div>x</div>y",
  "x<div>y</div>",
  "<!DOCTYPE html><div>x</div>",
  "<divx>y</divx>",
  "</div>",
])("%s is not a single div", (text, { expect }) => {
  expect(isHarmlessXhtml(text)).toBe(false);
});

test("a text made to be slow is answered like any other", ({ expect }) => {
  const long = 400_000;
  for (const inside of [
    "<b>".repeat(long),
    "<!-- -a".repeat(long),
    `<p ${' class="x"'.repeat(long)}`,
    `<p${" ".repeat(long)}`,
    "&".repeat(long),
    "]".repeat(long),
  ])
    expect(isHarmlessXhtml(inDiv(inside))).toBe(inside.startsWith("]"));
  expect(isHarmlessXhtml(inDiv(`<p title="${"x".repeat(8_000_000)}">x</p>`))).toBe(true);
});
