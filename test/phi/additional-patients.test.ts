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
  const tally = new Tally({ name: "main" });
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
  expect(concerned.alone()).toEqual([]);
  concerned.decide(row("1", "a"));
  expect(concerned.alone()).toMatchObject([
    { patients: [{ patient: "main/Patient/a", counts: { Observation: 1 } }], counts: {} },
  ]);
});

test("an answer that is refused by its own rows names their patients without a byte, and costs their names once", ({
  expect,
}) => {
  const concerned = new AdditionalPatients("main");
  concerned.decide(row("1", "a"));
  concerned.refuse(shown(row("1", "a"), row("2", "b")));
  expect(concerned.due()).toBe(2);
  const [window, ...others] = concerned.alone();
  expect([others, window?.body.length, window?.records, window?.counts]).toEqual([[], 0, 0, {}]);
  expect(window?.patients.map(({ patient }) => patient)).toEqual(["main/Patient/a", "main/Patient/b"]);
  concerned.decide(row("3", "c"));
  expect(concerned.alone()[1]?.patients).toEqual([{ patient: "main/Patient/c", counts: { Observation: 1 } }]);
  concerned.pay();
  expect(concerned.due()).toBe(0);
});

const many = (count: number) => Array.from({ length: count }, (_, n) => `p${n}`);

test("names that an answer's first window has no room for are on record in a window before it, without a byte", ({
  expect,
}) => {
  const concerned = new AdditionalPatients("main");
  expect(concerned.decide(row("1", ...many(patientsMax)))).toBe(true);
  expect(concerned.decide(row("2", "one-more")), "no room").toBe(false);
  const joined = concerned.join(shown(row("3", "another")));
  expect(joined?.windows.map(({ body, patients }) => [body.length, patients.length])).toEqual([
    [0, patientsMax],
    [1, 1],
  ]);
  concerned.name("named");
  expect(concerned.join(shown(row("3", "another"))), "too many for any window").toBeUndefined();
});

test("rows are noted together or not at all, and leave half of the names to further rows", ({ expect }) => {
  const concerned = new AdditionalPatients("main");
  const half = many(patientsMax / 2).map((patient) => row(patient, patient));
  expect(concerned.decideAll([...half, row("x", "x")])).toBe(false);
  expect(concerned.alone()).toEqual([]);
  expect([
    concerned.decideAll(half),
    concerned.decideAll(half),
    concerned.decideAll([row("x", "x")]),
  ]).toEqual([true, true, false]);
  expect(concerned.decide(row("x", "x"))).toBe(true);
});
