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

test("a request counts the resources that it refers to; remembered resources count as all do", ({
  expect,
}) => {
  const [cold, warm] = [new ReferredLabels(), new ReferredLabels(() => encounter)];
  const shown = (book: ReferredLabels) =>
    [rowOf(0, 100), rowOf(100, referredMax - 101), rowOf(50, 60), rowOf(referredMax - 1, 2), rowOf(0, 1)].map(
      (row) => !book.withReferred(harmless, row, base).hasUnknown,
    );
  expect(shown(cold)).toEqual([false, false, false, false, false]);
  const ids = [...(cold.unknown.get("Encounter") ?? [])];
  expect(ids.length).toBe(referredMax);
  cold.learn("Encounter", ids, new Map(ids.map((id) => [id, encounter])));
  expect(shown(cold)).toEqual([true, true, true, false, true]);
  expect(shown(warm)).toEqual([true, true, true, false, true]);
  expect(shown(warm), "the reading begins again").toEqual([true, true, true, false, true]);
});
