import { test } from "vitest";
import { BreachTally } from "#audit/breach";
import { breachClocks, undecided } from "#audit/breach-clocks";
import type { AuditEvent, PatientCounts } from "#audit/event";
import { instant } from "#kernel/clock";

const at = (text: string) => instant(Date.parse(text));
const event = (about: Partial<AuditEvent>): AuditEvent => ({
  id: "0".repeat(32),
  at: at("2026-10-01T12:00:00Z"),
  kind: "disclosure",
  why: { policy: "sha256:one" },
  patients: [],
  unnamed: [],
  counts: {},
  ...about,
});
const patient = (id: string, counts: Record<string, number>, state?: string): PatientCounts =>
  Object.assign({ patient: `main/Patient/${id}`, counts }, state === undefined ? {} : { state });

test("each individual is listed once, with the disclosed resources, the policies of the views, and the paths that no record released", ({
  expect,
}) => {
  const tally = new BreachTally<string>();
  const first = event({
    patients: [patient("a", { Observation: 2 }, "OH")],
    counts: { Observation: 2 },
    withheld: { paths: ["Patient.name", "Patient.photo"] },
  });
  tally.add(first, 0);
  tally.locate(first, "leaf 0");
  const later = {
    at: at("2026-10-03T00:00:00Z"),
    why: { policy: "sha256:two" },
    withheld: { paths: ["Patient.photo"] },
  };
  tally.add(
    event({
      ...later,
      patients: [patient("a", { Patient: 1 }), patient("b", { Observation: 1 })],
      counts: { Patient: 1, Observation: 1 },
    }),
    1,
  );
  const { affected, byState, disclosed } = tally.scope;
  expect(affected).toEqual([
    {
      patient: "main/Patient/a",
      state: "OH",
      stateFrom: "leaf 0",
      first: at("2026-10-01T12:00:00Z"),
      last: later.at,
      disclosed: { Observation: 2, Patient: 1 },
      policies: ["sha256:one", "sha256:two"],
      withheld: ["Patient.photo"],
      records: [0, 1],
    },
    expect.objectContaining({
      patient: "main/Patient/b",
      state: "unknown",
      stateFrom: undefined,
      records: [1],
      withheld: ["Patient.photo"],
    }),
  ]);
  expect([byState, disclosed]).toEqual([
    { OH: 1, unknown: 1 },
    { Observation: 3, Patient: 1 },
  ]);
});

test("the state is the latest that any record names, of any client, and equal in any order of reading", ({
  expect,
}) => {
  const said = (time: string, state: string | undefined, about: Partial<AuditEvent> = {}) =>
    event({ at: at(time), patients: [patient("a", {}, state)], ...about });
  const stateOf = (...events: readonly AuditEvent[]) => {
    const tally = new BreachTally<string>();
    tally.add(event({ at: at("2026-10-02T00:00:00Z"), patients: [patient("a", { Observation: 1 })] }), 0);
    for (const one of events) tally.locate(one, one.kind);
    const [only] = tally.scope.affected;
    return [only?.state, only?.stateFrom];
  };
  const before = said("2026-01-01T00:00:00Z", "NH");
  const after = said("2026-11-01T00:00:00Z", "MA", { kind: "refusal" });
  const silent = said("2026-12-01T00:00:00Z", undefined);
  expect(stateOf()).toEqual(["unknown", undefined]);
  expect(stateOf(silent)).toEqual(["unknown", undefined]);
  for (const order of [
    [before, after, silent],
    [silent, after, before],
  ])
    expect(stateOf(...order)).toEqual(["MA", "refusal"]);
  const written = said("2026-11-01T00:00:00Z", "VT", { kind: "write", step: 1 });
  expect([stateOf(written, after), stateOf(after, written)], "of one request the later step").toEqual([
    ["VT", "write"],
    ["VT", "write"],
  ]);
  const elsewhere = said("2026-11-01T00:00:00Z", "ME", { kind: "disclosure" });
  expect(stateOf(elsewhere, after)).toEqual(stateOf(after, elsewhere));
  expect(
    stateOf(event({ at: at("2026-11-02T00:00:00Z"), patients: [patient("b", {}, "CA")] }), after),
  ).toEqual(["MA", "refusal"]);
});

test("patients of questions that found nothing, resources of unknown owners, and patients of writes are listed separately", ({
  expect,
}) => {
  const tally = new BreachTally<string>();
  expect(
    tally.add(event({ patients: [patient("gone", {}), patient("a", {})], unnamed: ["Device/d"] }), 0),
  ).toBe(true);
  expect(tally.add(event({ patients: [patient("a", { Patient: 1 })] }), 1)).toBe(true);
  expect(tally.add(event({ kind: "intent", patients: [patient("w", {})] }), 2)).toBe(true);
  expect(tally.add(event({ kind: "refusal", patients: [patient("r", {})] }), 3)).toBe(false);
  expect(tally.add(event({ kind: "intent" }), 3)).toBe(false);
  const { affected, askedInVain, unnamed, written } = tally.scope;
  expect(affected.map((one) => one.patient)).toEqual(["main/Patient/a"]);
  expect([askedInVain, unnamed, written]).toEqual([["main/Patient/gone"], ["Device/d"], ["main/Patient/w"]]);
});

test("60 days from the discovery; from 500 individuals on the Secretary with them, else 60 days after the year", ({
  expect,
}) => {
  const discovered = at("2026-11-24T18:30:00Z");
  expect(breachClocks(discovered, { OH: 499 })).toEqual({
    discovered: "2026-11-24",
    individuals: "2027-01-23",
    media: { by: "2027-01-23", states: [], maybe: [] },
    secretary: { by: "2027-03-01", clause: "164.408(c)" },
  });
  expect(breachClocks(discovered, { OH: 499, unknown: 1 }).secretary).toEqual({
    by: "2027-01-23",
    clause: "164.408(b)",
  });
  expect(breachClocks(at("2027-02-01T00:00:00Z"), { OH: 1 }).secretary.by, "a leap year follows").toBe(
    "2028-02-29",
  );
});

test("media are notified in a state with more than 500 residents, and states that unknown residences may decide are named", ({
  expect,
}) => {
  const states = (byState: Record<string, number>) => {
    const { states, maybe } = breachClocks(0, byState).media;
    return [states, maybe];
  };
  expect(states({ OH: 500 })).toEqual([[], []]);
  expect(states({ OH: 501, MI: 3 })).toEqual([["OH"], []]);
  expect(states({ OH: 499, MI: 3, unknown: 2 })).toEqual([[], ["OH"]]);
  expect(states({ unknown: 501 })).toEqual([[], ["unknown"]]);
  expect(states({ GU: 501, DC: 501, "outside US": 900 }), "a State of 160.103, and none").toEqual([
    ["GU", "DC"],
    [],
  ]);
  expect(states({ OH: 499, AE: 1, Massachusets: 1 }), "no word that names a State decides").toEqual([
    [],
    ["OH"],
  ]);
  expect(states({ Massachusets: 501 })).toEqual([[], ["unknown"]]);
  expect(undecided({ OH: 499, AE: 1, Massachusets: 1, unknown: 3, "outside US": 9 })).toBe(5);
});

test("patients that a client's questions name outside its access are listed separately: it learned nothing about them, and the record is proven", ({
  expect,
}) => {
  const tally = new BreachTally<string>();
  expect(tally.add(event({ kind: "refusal", asked: ["main/Patient/b", "main/Patient/a"] }), 0)).toBe(true);
  expect(tally.add(event({ patients: [patient("c", {})], asked: ["main/Patient/a"] }), 1)).toBe(true);
  expect(tally.add(event({ kind: "refusal" }), 2)).toBe(false);
  expect(tally.scope).toMatchObject({
    affected: [],
    askedInVain: ["main/Patient/c"],
    askedBeyondReach: ["main/Patient/a", "main/Patient/b"],
  });
});
