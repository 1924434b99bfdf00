import { test } from "vitest";
import { ReferredLabels, referredMax, referredMaxOfRequest } from "#policy/sensitivity/referred-labels";
import { rowLabels } from "#policy/sensitivity/row-labels";

const base = "https://origin.example/fhir";
const harmless = rowLabels([]);
const rowOf = (from: number, count: number) => ({
  resourceType: "Observation",
  focus: Array.from({ length: count }, (_, index) => ({ reference: `Encounter/${from + index}` })),
});
const encounter = { labels: harmless, patients: ["ann"] };

test("a row counts the resources that it refers to, whatever other rows refer to; remembered resources count as all do", ({
  expect,
}) => {
  const [cold, warm] = [new ReferredLabels(), new ReferredLabels(() => encounter)];
  const shown = (book: ReferredLabels) =>
    [rowOf(0, referredMax), rowOf(1, referredMax), rowOf(0, referredMax + 1)].map(
      (row) => !book.withReferred(harmless, row, base).hasUnknown,
    );
  expect(shown(cold)).toEqual([false, false, false]);
  const ids = [...(cold.unknown.get("Encounter") ?? [])];
  expect(ids.length).toBe(referredMax + 1);
  cold.learn("Encounter", ids, new Map(ids.map((id) => [id, encounter])));
  expect(shown(cold)).toEqual([true, true, false]);
  expect(shown(warm)).toEqual([true, true, false]);
  expect([cold.unfollowed, warm.unfollowed], "the limit of a row is not the request's").toEqual([0, 0]);
});

test("a request counts the resources that all its rows refer to, and says that a row went beyond the limit", ({
  expect,
}) => {
  const [cold, warm] = [new ReferredLabels(), new ReferredLabels(() => encounter)];
  const rows = Array.from({ length: referredMaxOfRequest / referredMax }, (_, index) =>
    rowOf(index * referredMax, referredMax),
  );
  const beyond = rowOf(referredMaxOfRequest - 1, 2);
  const shown = (book: ReferredLabels) =>
    [...rows, beyond, rowOf(0, 1)].map((row) => !book.withReferred(harmless, row, base).hasUnknown);
  const asItShouldBe = [...rows.map(() => true), false, true];
  expect(new Set(shown(cold))).toEqual(new Set([false]));
  const ids = [...(cold.unknown.get("Encounter") ?? [])];
  expect(ids.length).toBe(referredMaxOfRequest);
  cold.learn("Encounter", ids, new Map(ids.map((id) => [id, encounter])));
  expect(shown(cold)).toEqual(asItShouldBe);
  expect(shown(warm)).toEqual(asItShouldBe);
  expect(warm.unfollowed).toBe(1);
  expect(shown(warm), "the reading begins again").toEqual(asItShouldBe);
  expect(warm.unfollowed).toBe(2);
});
