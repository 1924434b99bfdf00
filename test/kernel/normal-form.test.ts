import { test } from "vitest";
import { normalForm } from "#kernel/normal-form";
import { cpuMillisecondsOf } from "../support/cpu-milliseconds.ts";

const forms = ["NFKC", "NFKD"] as const;
const [above, below] = ["\u0301", "\u0316"];
const unsorted = (marks: number, [first, second]: readonly [string, string] = [above, below]) =>
  `a${first.repeat(marks / 2)}${second.repeat(marks / 2)}`;

test("a text with at most 30 marks in a run has the form that the runtime gives it", ({ expect }) => {
  const words = ["Ångström", "ﷺ", "ｶﾞ", "ﬁ", "한국어", "नमस्ते", unsorted(30), `${unsorted(30)}b`.repeat(9)];
  for (const form of forms)
    for (const word of words) expect(normalForm(word, form)).toBe(word.normalize(form));
});

test("a text of a MiB of marks costs no more than its length, also where a mark only becomes one", ({
  expect,
}) => {
  // the runtime alone needs five minutes for each of these
  for (const pair of [
    [above, below],
    [above, "\uff9e"],
    [above, "\u3099"],
  ] as const)
    for (const form of forms)
      expect(cpuMillisecondsOf(() => normalForm(unsorted(500_000, pair), form))).toBeLessThan(1_000);
});

test("each character that the runtime moves past other marks counts as a mark", ({ expect }) => {
  const moved: string[] = [];
  for (let code = 0; code <= 0x10_ff_ff; code += 1) {
    if (code >= 0xd8_00 && code <= 0xdf_ff) continue;
    const sign = String.fromCodePoint(code);
    const [first = ""] = sign.normalize("NFKD");
    // after a mark of the greatest class, and before a mark of the least
    const isMoved = [`\u0345${first}`, `${first}\u0334`].some((run) => run.normalize("NFD") !== run);
    const run = sign.repeat(40);
    if (isMoved && normalForm(run, "NFKD").length === run.normalize("NFKD").length)
      moved.push(code.toString(16));
  }
  expect(moved).toEqual([]);
});
