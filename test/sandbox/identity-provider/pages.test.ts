import { test } from "vitest";
import { consentPage, messagePage, signInPage } from "../../../sandbox/identity-provider/pages.ts";

test("no text on a page can become markup", ({ expect }) => {
  const mark = `<img src=x onerror="a('b')">&`;
  for (const page of [
    consentPage(mark, mark, [mark]),
    messagePage(mark, mark),
    signInPage({ withCode: true, problem: mark }),
  ]) {
    expect(page).not.toContain("<img");
    expect(page).toContain("&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;&amp;");
  }
});

test("a page requests the second factor only if it is needed", ({ expect }) => {
  expect(signInPage({ withCode: false })).not.toContain('name="code"');
  expect(signInPage({ withCode: true })).toContain('name="code"');
});
