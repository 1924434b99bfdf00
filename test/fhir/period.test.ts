import { test } from "vitest";
import { holdsAt } from "#fhir/period";
import { instant } from "#kernel/clock";

const at = (text: string) => instant(Date.parse(text));

test("a period holds from its start to the end of what its end names", ({ expect }) => {
  const noon = at("2026-05-31T12:00:00Z");
  for (const period of [
    undefined,
    {},
    { start: "2026" },
    { start: "2026-05-31" },
    { end: "2026" },
    { end: "2026-05" },
    { end: "2026-05-31" },
    { start: "2026-05-31T14:00:00+02:00", end: "2026-05-31T12:00:00Z" },
    { end: "2026-05-31T12:00:00.000Z" },
  ])
    expect(holdsAt(period, noon), JSON.stringify(period)).toBe(true);
  for (const period of [
    { start: "2027" },
    { start: "2026-06" },
    { start: "2026-05-31T12:00:01Z" },
    { end: "2025" },
    { end: "2026-04" },
    { end: "2026-05-30" },
    { end: "2026-05-31T11:59:59Z" },
  ])
    expect(holdsAt(period, noon), JSON.stringify(period)).toBe(false);
});

test("a malformed period includes no time, because its end is unknown", ({ expect }) => {
  for (const period of [
    null,
    "2026",
    [],
    [{}],
    { end: 2027 },
    { end: "soon" },
    { start: "2026-13" },
    { end: null },
    { end: "2027-01-01T00:00" },
  ])
    expect(holdsAt(period as never, at("2026-01-01T00:00:00Z")), JSON.stringify(period)).toBe(false);
});
