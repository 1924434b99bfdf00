import { test } from "vitest";
import { ReferredLabels, referredMax } from "#policy/sensitivity/referred-labels";
import { rowLabels } from "#policy/sensitivity/row-labels";

const base = "https://origin.example/fhir";
const harmless = rowLabels([]);
const rowOf = (from: number, count: number) => ({
  resourceType: "Observation",
  focus: Array.from({ length: count }, (_, index) => ({ reference: `Encounter/${from + index}` })),
});
const encounter = { labels: harmless, patients: ["ann"] };

test("a row counts the resources that it refers to, whatever other rows refer to; an unknown resource counts as labelled", ({
  expect,
}) => {
  const book = new ReferredLabels();
  const rows = [rowOf(0, referredMax), rowOf(1, referredMax), rowOf(0, referredMax + 1)];
  const shown = () => rows.map((row) => !book.withReferred(harmless, row, base).hasUnknown);
  expect(shown()).toEqual([false, false, false]);
  const unknown = new Set(rows.flatMap((row) => book.lacking(row, base)));
  expect(unknown.size).toBe(referredMax + 1);
  for (const name of unknown) book.learn(book.named(name), encounter);
  expect(rows.flatMap((row) => book.lacking(row, base))).toEqual([]);
  expect(shown()).toEqual([true, true, false]);
});
