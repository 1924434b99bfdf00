import { describe, expect, test } from "vitest";
import { areaOf, comments, complaints, figuresOf, isNumber, markdownProse } from "../scripts/prose.ts";

/** The verdict on each "one" of a sentence: true for a number. */
const readings = (sentence: string): boolean[] =>
  [...sentence.matchAll(/\bone\b/giu)].map(({ index }) =>
    isNumber(sentence.slice(0, index), sentence.slice(index + 3)),
  );

const plain = "// The gateway refuses the request, because the policy has no rule for the field.\n";
const vague = "// The gateway refuses what nobody asked for, and such others as somebody else has.\n";
const frontedSentence =
  "// Of a log that is stopped the auditor may want every row, and the operator keeps each.\n";
const file = (path: string, line: string, times = 20) => ({ path, text: `${line}\n`.repeat(times) });

describe("the measure", () => {
  test("comments of TypeScript: lines, blocks and the end of a line of code, each as one paragraph", () => {
    const text = [
      "// First line",
      "// and the second.",
      "const a = 1; // A trailing remark.",
      "/** A block. */",
      "/**",
      " * A longer block",
      " * of two lines.",
      " */",
      'const url = "https://example.org"; const b = "/* no comment */";',
    ].join("\n");
    expect(comments(text)).toEqual([
      "First line and the second.",
      "A trailing remark.",
      "A block.",
      "A longer block of two lines.",
    ]);
  });

  test("paragraphs and table cells of Markdown, without code blocks and links", () => {
    const text =
      "# Title\n\nSee [the page](page.md) and `code`.\n\n```sh\nwhat else\n```\n\n| a | b |\n| - | - |\n| c | d |";
    expect(markdownProse(text)).toEqual(["Title", "See the page and code.", "a", "b", "c", "d"]);
  });

  test("a sentence that begins with another word than its subject is fronted", () => {
    const figures = figuresOf([
      "Whose row it is decides. The row is read. Of two rows the first wins. Overall fine, too.",
    ]);
    expect(figures).toMatchObject({ sentences: 4, fronted: 50 });
  });

  test("a sentence of two words is no sentence", () => {
    expect(figuresOf(["Nobody else"])).toEqual({ sentences: 0, words: 0, fronted: 0, vague: 0 });
  });

  test.each([
    "one row of the table",
    "the one clock that counts",
    "one of the rows",
    "One or more rows",
    "one row at a time, or one at a time",
    "one address and one process",
    "from one to three rows",
    "the leaves are read one by one",
    "one `Patient` each",
    "one-time codes",
    "one gateway's key",
  ])("“%s” counts things", (sentence) => {
    expect(readings(sentence)).not.toContain(false);
  });

  test.each([
    "the one that was read",
    "a new one.",
    "the old one, which is void",
    "one knows the answer",
    "no one knows",
    "one may ask",
    "the one named there",
    "one's own key",
    "this one is void",
  ])("“%s” stands for a noun", (sentence) => {
    expect(readings(sentence)).not.toContain(true);
  });
});

describe("the check", () => {
  test("passes plain files", () => {
    expect(complaints([file("src/policy/a.ts", plain), file("docs/a.md", plain)], [])).toEqual([]);
  });

  test("names the area, the file and the total that are vague, with the figure", () => {
    const found = complaints([file("src/policy/a.ts", vague), file("docs/a.md", plain)], []);
    expect(found.map((complaint) => complaint.split(":")[0])).toEqual([
      "src/policy",
      "src/policy/a.ts",
      "all code",
    ]);
    expect(found[0]).toMatch(/: \d+\.\d\d vague pronouns per 100 words, 0\.0 % fronted sentences$/u);
  });

  test("names fronted sentences, and pages apart from code", () => {
    const found = complaints(
      [file("cli/a.ts", plain), file("docs/adr/a.md", `${frontedSentence.slice(3)}\n`)],
      [],
    );
    expect(found.map((complaint) => complaint.split(":")[0])).toEqual([
      "docs/adr",
      "docs/adr/a.md",
      "all docs",
    ]);
    expect(found[0]).toContain("100.0 % fronted");
  });

  test("judges a file by itself only over 200 words, and the area around it always by its sum", () => {
    const others = [1, 2, 3].map((index) => file(`cli/${index}.ts`, plain, 40));
    expect(complaints([...others, file("cli/small.ts", vague, 1)], [])).toEqual([]);
    const several = Array.from({ length: 20 }, (_, index) => file(`cli/${index}.ts`, vague, 1));
    expect(complaints(several, []).map((complaint) => complaint.split(":")[0])).toEqual(["cli", "all code"]);
  });

  test("an unfinished area is let through, and so is an unfinished total", () => {
    const files = [file("cli/a.ts", vague), file("src/policy/a.ts", plain)];
    expect(complaints(files, ["cli", "all code"])).toEqual([]);
  });

  test("an area in the list that meets the limits, or does not exist, is an error: the list only shrinks", () => {
    expect(complaints([file("cli/a.ts", plain)], ["cli", "sandbox"])).toEqual([
      "sandbox is in the list of unfinished areas and does not exist: delete it there",
      "cli meets the limits: delete it from the list of unfinished areas in scripts/prose.ts",
    ]);
  });

  test.each([
    ["src/policy/view/ties.ts", "src/policy"],
    ["test/policy/a.test.ts", "test/policy"],
    ["test/a.test.ts", "test"],
    ["sandbox/origin/join/has.ts", "sandbox"],
    ["vitest.config.ts", "root"],
    ["docs/adr/0001.md", "docs/adr"],
    ["README.md", "root pages"],
  ])("%s is in the area %s", (path, area) => {
    expect(areaOf(path)).toBe(area);
  });
});
