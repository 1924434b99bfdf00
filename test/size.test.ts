import { test } from "vitest";
import { codeLines, rowsOf, sourceSizes } from "../scripts/size.ts";

test("a line counts as code if it has a token: blank lines and comments have none, a slash in a text is no comment", ({
  expect,
}) => {
  const text = [
    "// a comment",
    "/** A docstring.",
    " * @returns one */",
    "export const a = 1; // beside code",
    "",
    'const url = "https://example.org"; /* two',
    "lines */ const b = /[/*]/u;",
    "const c = `first // no comment",
    "",
    "  ${a /* inside */} /* no comment */",
    "`;",
    "function f(): number {",
    "  // only a comment",
    "  return 1;",
    "}",
  ].join("\n");
  expect(codeLines("src/a/b.ts", text)).toBe(9);
  expect(
    codeLines("src/a/b.tsx", "const page = (\n  <p>\n    // a text\n    {/* a comment */}\n  </p>\n);"),
  ).toBe(6);
  expect(codeLines("src/a/b.ts", "// nothing\n")).toBe(0);
});

const files = [
  { path: "src/gateway/pipeline.ts", text: "const a = 1;\nconst b = 2;\n" },
  { path: "src/gateway/read/page.ts", text: "const a = 1;\n" },
  { path: "src/policy/evaluate.ts", text: "const a = 1;\n" },
  { path: "src/fhir/r4/types.gen.ts", text: "const a = 1;\n" },
  { path: "workers/gateway/env.d.ts", text: "const a = 1;\n" },
  { path: "cli/main.ts", text: "const a = 1;\n" },
  { path: "bench/run.ts", text: "const a = 1;\n" },
  { path: "test/a.test.ts", text: "const a = 1;\n" },
  { path: "docs/a.md", text: "# Two words\n\nand three more.\n" },
];

test("code is counted by room, without generated files, tests and tools that are not delivered", ({
  expect,
}) => {
  expect(sourceSizes(files)).toEqual({
    "cli, code lines": 1,
    "src/gateway, code lines": 3,
    "src/policy, code lines": 1,
    "src, code lines": 4,
    "src, workers, cli and sandbox, code lines": 5,
    "test, code lines": 1,
    "docs, words": 6,
  });
});

test("against a commit, the table has both figures and the difference, also for a room that is new or deleted", ({
  expect,
}) => {
  expect(
    rowsOf(
      { "src, code lines": 1_200, "src/new, code lines": 3 },
      { "src, code lines": 1_000, "src/old, code lines": 2 },
    ),
  ).toEqual([
    ["", "before", "after", "difference"],
    ["src, code lines", "1,000", "1,200", "+200"],
    ["src/old, code lines", "2", "–", "-2"],
    ["src/new, code lines", "–", "3", "+3"],
  ]);
});
