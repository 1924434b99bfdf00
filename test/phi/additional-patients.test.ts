import { test } from "vitest";
import { AdditionalPatients, type DecidingRow } from "#phi/additional-patients";
import { Tally, patientsMax, type Disclosure } from "#phi/disclosure";

const none: ReadonlySet<string> = new Set();
const row = (id: string, ...patients: readonly string[]): DecidingRow => ({
  type: "Observation",
  id,
  patients: new Set(patients),
  unseen: none,
  room: 0,
  unnamed: false,
});

function shown(...rows: readonly DecidingRow[]): Disclosure {
  const tally = new Tally("main");
  for (const one of rows) tally.add({ ...one, text: new Uint8Array(1), records: 1, withheld: 0 });
  return tally.disclosure([]);
}
const namesIn = (disclosure: Disclosure | undefined) =>
  Object.fromEntries(disclosure?.windows[0]?.patients.map(({ patient, counts }) => [patient, counts]) ?? []);

test("a row that is in the answer and decided it counts once; a named patient of whom nothing is found counts nothing", ({
  expect,
}) => {
  const concerned = new AdditionalPatients("main");
  for (const one of [row("1", "a"), row("2", "a", "b")]) expect(concerned.decide(one)).toBe(true);
  concerned.name("a");
  concerned.name("c");
  const joined = concerned.join(shown(row("1", "a"), row("3", "d")));
  expect(namesIn(joined)).toEqual({
    "main/Patient/a": { Observation: 2 },
    "main/Patient/b": { Observation: 1 },
    "main/Patient/c": {},
    "main/Patient/d": { Observation: 1 },
  });
  expect(joined?.windows[0]?.counts).toEqual({ Observation: 2 });
});

test("each name is paid for once: by a resource in the answer, or by itself", ({ expect }) => {
  const concerned = new AdditionalPatients("main");
  concerned.decide(row("2", "a", "b"));
  concerned.name("c");
  const disclosure = shown(row("1", "a"));
  expect([concerned.due(), concerned.due(disclosure)]).toEqual([2, 2]); // a and b; b and c
  concerned.pay();
  expect([concerned.due(), concerned.due(disclosure)]).toEqual([0, 0]);
});

test("without a deciding row a refusal discloses nothing, whichever patients the question names", ({
  expect,
}) => {
  const concerned = new AdditionalPatients("main");
  concerned.name("c");
  expect(concerned.alone()).toBeUndefined();
  concerned.decide(row("1", "a"));
  expect(concerned.alone()).toMatchObject({
    patients: [{ patient: "main/Patient/a", counts: { Observation: 1 } }],
    counts: {},
  });
});

test("more names than an append takes are told, and not left out", ({ expect }) => {
  const concerned = new AdditionalPatients("main");
  const many = Array.from({ length: patientsMax }, (_, n) => `p${n}`);
  expect(concerned.decide(row("1", ...many))).toBe(true);
  expect(concerned.decide(row("2", "one-more"))).toBe(false);
  expect(concerned.join(shown(row("3", "another")))).toBeUndefined();
});
