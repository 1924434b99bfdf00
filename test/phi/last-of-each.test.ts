import { test } from "vitest";
import { dated, lastOfEach } from "#phi/last-of-each";

const observation = (id: string, more: object) => ({ id, shown: { resourceType: "Observation", ...more } });
const coded = (...codes: string[]) => ({
  code: { coding: codes.map((code) => ({ system: "urn:c", code })) },
});
const ids = (observations: readonly ReturnType<typeof observation>[], max: number) =>
  lastOfEach(observations.map(dated), max).map(({ id }) => id);

test("the latest of each kind leaves, in any form of time; an observation without a date is older than all dated ones", ({
  expect,
}) => {
  const all = [
    observation("undated", coded("a")),
    observation("old", { ...coded("a"), effectiveDateTime: "2026-01" }),
    observation("new", { ...coded("a"), effectivePeriod: { start: "2026-01-01", end: "2026-03-01" } }),
    observation("newer", { ...coded("a"), effectiveInstant: "2026-03-02T00:00:00Z" }),
    observation("other", { ...coded("b"), effectiveDateTime: "2020" }),
  ];
  expect(ids(all, 1)).toEqual(["newer", "other"]);
  expect(ids(all, 3)).toEqual(["newer", "new", "old", "other"]);
  expect(ids(all, 9)).toEqual(["newer", "new", "old", "undated", "other"]);
});

test("observations that share a coding or, without codings, the text are of the same kind", ({ expect }) => {
  const all = [
    observation("1", { ...coded("a", "b"), effectiveDateTime: "2026-03" }),
    observation("2", { ...coded("b", "c"), effectiveDateTime: "2026-02" }),
    observation("3", { ...coded("c"), effectiveDateTime: "2026-01" }),
    observation("4", { code: { text: "a" } }),
    observation("5", { code: { coding: [{ system: "urn:d", code: "a" }] } }),
    observation("6", {}),
  ];
  expect(ids(all, 1)).toEqual(["1", "4", "5", "6"]);
});
