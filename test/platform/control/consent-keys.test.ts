import { createExecutionContext, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, test, vi } from "vitest";
import type { ConsentRules } from "#policy/consent/consent";
import { ConsentDesk } from "#platform/consents/consent-desk";
import { ConsentHistory } from "#platform/consents/consent-history";
import { revocationsOf } from "#platform/revocation/object/revocations";
import { emptyRegistry } from "./registry.ts";

/* CONSENT_KEY is replaced in the steps OLD, OLD NEW, NEW OLD, NEW. Isolates of two neighbouring steps serve together. */

const [old, fresh] = [1, 2].map(() => randomBytes(32).toString("base64url"));
const deskWith = (CONSENT_KEY: string) => new ConsentDesk(createExecutionContext(), { ...env, CONSENT_KEY });
const historyWith = (CONSENT_KEY: string) =>
  new ConsentHistory(createExecutionContext(), { ...env, CONSENT_KEY });
const steps = [`${old}`, `${old} ${fresh}`, `${fresh} ${old}`, `${fresh}`] as const;
const [first, second, third, last] = steps;
// Isolates of the first step find nothing that the third step filed: their pairs come first.
const neighbours = [
  { filer: first, reader: second, p: "p1", q: "q1", c: "c1", d: "d1" },
  { filer: second, reader: first, p: "p2", q: "q2", c: "c2", d: "d2" },
  { filer: second, reader: third, p: "p3", q: "q3", c: "c3", d: "d3" },
  { filer: third, reader: second, p: "p4", q: "q4", c: "c4", d: "d4" },
] as const;

const active: ConsentRules = { isActive: true, readings: [] };
const withdrawn: ConsentRules = { isActive: false, readings: [] };
const denying: ConsentRules = { isActive: true, unclear: "scope", readings: [] };
const state = (patient: string, consent: string, rules = active) => ({
  consent,
  content: { patient, rules },
  mayPermit: true,
  filedBy: "registrar",
});
const file = async (
  desk: ConsentDesk,
  ...states: readonly (ReturnType<typeof state> & { isUnread?: true })[]
) => {
  const change = await desk.announce(
    "main",
    states.map(({ consent }) => consent),
    states.map(({ content }) => content.patient),
  );
  return desk.file(change, "main", states);
};
const question = (patients: readonly string[]) => ({
  origin: "main",
  patients,
  bookmark: null,
  hasPending: false,
});
const counts = async (desk: ConsentDesk, ...patients: readonly string[]) =>
  (await desk.of(question(patients))).map(({ consents }) => consents.length);
const reading = { origin: "main", patients: ["p"], everyMilliseconds: 300_000 };

let registry: D1Database;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-11-24T10:15:00Z") });
  registry = await emptyRegistry();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a Consent that an isolate of one step files is in force, changed and withdrawn by an isolate of the next", async ({
  expect,
}) => {
  for (const { filer, reader, p, q, c, d } of neighbours) {
    const [one, two] = [deskWith(filer), deskWith(reader)];
    await file(one, state(p, c), state(p, d));
    expect([await counts(one, p), await counts(two, p)]).toEqual([[2], [2]]);
    expect(await two.isOnFile("main", state(p, c)), "no need to file it again").toBe(true);
    await file(two, state(p, c, denying));
    expect([await counts(one, p), await counts(two, p)], "each Consent counts once").toEqual([[2], [2]]);
    await file(one, state(p, c, withdrawn));
    expect([await counts(one, p), await counts(two, p)]).toEqual([[1], [1]]);
    await file(two, state(q, d));
    expect([await counts(one, p, q), await counts(two, p, q)], "a further patient").toEqual([
      [0, 1],
      [0, 1],
    ]);
    const absent = { consent: d, content: undefined, mayPermit: false, filedBy: undefined };
    await one.file(await one.announce("main", [d], []), "main", [absent]);
    expect([await counts(one, q), await counts(two, q)]).toEqual([[0], [0]]);
  }
});

test("of two changes by isolates of two steps the later counts, in whatever order they arrive", async ({
  expect,
}) => {
  for (const { filer, reader, p, c } of neighbours) {
    const [one, two] = [deskWith(filer), deskWith(reader)];
    const [earlier, later] = [await one.announce("main", [c], [p]), await two.announce("main", [c], [p])];
    await two.file(later, "main", [state(p, c, withdrawn)]);
    await one.file(earlier, "main", [state(p, c)]);
    expect([await counts(one, p), await counts(two, p)]).toEqual([[0], [0]]);
  }
});

test("a copy of one step has a name that the deltas of the next step name, also for the patient before", async ({
  expect,
}) => {
  const listener = { client: "telehealth", issuers: [] };
  for (const { filer, reader, p, q, c } of neighbours) {
    const [one, two] = [deskWith(filer), deskWith(reader)];
    await file(one, state(p, c));
    const copies = await two.of(question([p, q]));
    const { epoch } = await revocationsOf(env).news(listener);
    await file(one, state(q, c));
    const deltas = JSON.stringify(await revocationsOf(env).news(listener, epoch));
    for (const { subject, formerSubjects = [] } of copies)
      expect([subject, ...formerSubjects].some((name) => deltas.includes(`"consent/main/${name}"`))).toBe(
        true,
      );
  }
});

test("refiling moves every version to the first key; before it, an isolate with that key alone refuses", async ({
  expect,
}) => {
  const patients = ["main/Patient/p", "main/Patient/q"];
  const consents = ["main/Consent/c", "main/Consent/d", "main/Consent/e"];
  await file(deskWith(first), state("p", "c"), state("q", "d", denying));
  await file(deskWith(first), state("p", "c", denying));
  await file(deskWith(second), state("p", "e"));
  const before = await historyWith(third).list({ patients });
  await expect(async () => deskWith(last).of(question(["p"]))).rejects.toThrow("does not list");

  expect(await historyWith(third).refile({ patients: [] })).toMatchObject({
    value: { refiled: 0, remaining: 4 },
  });
  expect(await historyWith(third).refile({ patients: ["main/Patient/p"], consents })).toMatchObject({
    value: { refiled: 3, remaining: 1 },
  });
  expect(await counts(deskWith(third), "p", "q"), "while some are refiled").toEqual([2, 1]);
  expect(await counts(deskWith(second), "p", "q"), "isolates of the step before").toEqual([2, 1]);
  await expect(async () => deskWith(last).of(question(["p"]))).rejects.toThrow("does not list");
  expect(await historyWith(third).refile({ patients })).toMatchObject({
    value: { refiled: 1, remaining: 0 },
  });

  expect(await counts(deskWith(last), "p", "q")).toEqual([2, 1]);
  const after = await historyWith(last).list({ patients });
  expect(before.ok && after.ok && after.value, "each version by both names that records have").toEqual(
    expect.arrayContaining([...(before.ok ? before.value : [])]),
  );
  expect(after.ok && after.value).toHaveLength(8);
  await file(deskWith(last), state("q", "f"));
  expect(await counts(deskWith(last), "q")).toEqual([2]);
});

test("a Consent that could not be read after its write is refiled with the Consent", async ({ expect }) => {
  await file(deskWith(first), { ...state("p", "c", denying), isUnread: true });
  const [patients, consents] = [["main/Patient/p"], ["main/Consent/c"]];
  expect(await historyWith(third).refile({ patients, consents })).toMatchObject({ value: { remaining: 0 } });
  expect(await counts(deskWith(last), "p")).toEqual([1]);
});

test("a Consent that was refiled while a change was under way ends by that change", async ({ expect }) => {
  await file(deskWith(first), state("p", "c"));
  const change = await deskWith(second).announce("main", ["c"], ["p"]);
  await registry.exec(
    "CREATE TRIGGER broken BEFORE INSERT ON consents BEGIN SELECT RAISE(ABORT, 'no writes'); END",
  );
  const filing = deskWith(second).file(change, "main", [state("p", "c", withdrawn)]);
  await expect(filing).rejects.toThrow();
  await historyWith(third).refile({ patients: ["main/Patient/p"] });
  await registry.exec("DROP TRIGGER broken");
  await deskWith(second).file(change, "main", [state("p", "c", withdrawn)]);
  expect(await counts(deskWith(third), "p")).toEqual([0]);
  expect(await counts(deskWith(second), "p")).toEqual([0]);
});

test("a reading compares with versions under a former key, and with the Consents of the reading before", async ({
  expect,
}) => {
  await file(deskWith(first), state("p", "c"));
  vi.setSystemTime(Date.now() + 120_000);
  const before = await deskWith(first).claimReading(reading);
  const origins = { ...state("p", "c"), mayPermit: false, filedBy: undefined };
  const further = { ...origins, consent: "e" };
  expect(await deskWith(first).fileReading(before.change, reading, [origins, further])).toEqual(["p"]);

  expect((await deskWith(third).claimReading(reading)).read, "no second reading").toMatchObject([
    { patient: "p" },
  ]);
  vi.setSystemTime(Date.now() + 400_000);
  const again = await deskWith(third).claimReading(reading);
  expect(again.claimed).toEqual(["p"]);
  expect(await deskWith(third).fileReading(again.change, reading, [origins])).toEqual(["p"]);
  const [{ consents } = { consents: [] }] = await deskWith(third).of(question(["p"]));
  expect(consents, "the client's authority stays, and the Consent that is gone ends").toMatchObject([
    { mayPermit: true, filedBy: "registrar" },
  ]);
  expect(consents).toHaveLength(1);
});

const refileAll = async (desk: string, patients: readonly string[], consents: readonly string[]) =>
  historyWith(desk).refile({
    patients: patients.map((id) => `main/Patient/${id}`),
    consents: consents.map((id) => `main/Consent/${id}`),
  });
const absent = (consent: string) => ({ consent, content: undefined, mayPermit: false, filedBy: undefined });
const left = (refiled: number, remaining: number) => ({ ok: true, value: { refiled, remaining } });

test("after the last step a Consent from before the rotation is withdrawn, and a deleted Consent ends", async ({
  expect,
}) => {
  await file(deskWith(first), state("p", "c"), state("p", "e"), state("p", "gone"));
  await deskWith(first).file(await deskWith(first).announce("main", ["gone"], []), "main", [absent("gone")]);
  expect(await refileAll(third, ["p"], []), "the deleted Consent needs no name").toEqual(left(2, 2));
  await expect(async () => deskWith(last).of(question(["p"]))).rejects.toThrow("does not list");
  expect(await refileAll(third, [], ["c", "e"])).toEqual(left(2, 0));

  const desk = deskWith(last);
  expect(await counts(desk, "p")).toEqual([2]);
  expect(await desk.isOnFile("main", state("p", "c"))).toBe(true);
  await file(desk, state("p", "c", withdrawn));
  await desk.file(await desk.announce("main", ["e"], ["p"]), "main", [absent("e")]);
  expect(await counts(desk, "p")).toEqual([0]);
  expect([await desk.isOnFile("main", state("p", "c")), await desk.isOnFile("main", absent("e"))]).toEqual([
    false,
    true,
  ]);
});

test("a key that is dropped too early stops each filing and reading, and put back it finds the withdrawal", async ({
  expect,
}) => {
  await file(deskWith(first), state("p", "c"));
  const begun = await deskWith(first).announce("main", ["c"], ["p"]);
  const [early, again] = [deskWith(last), deskWith(third)];
  const claim = await deskWith(first).claimReading(reading);
  for (const call of [
    () => early.of(question(["p"])),
    () => early.announce("main", ["c"], ["p"]),
    () => early.file(begun, "main", [state("p", "c", withdrawn)]),
    () => early.isOnFile("main", state("p", "c", withdrawn)),
    () => early.claimReading(reading),
    () => early.fileReading(claim.change, reading, []),
  ])
    await expect(call).rejects.toThrow("does not list");

  await file(again, state("p", "c", withdrawn));
  expect(await counts(again, "p")).toEqual([0]);
  expect(await refileAll(third, ["p"], ["c"])).toMatchObject(left(3, 0));
  expect(await counts(early, "p")).toEqual([0]);
});

test("a row without a key's id gets the id of the only key, and stops answers while several keys are listed", async ({
  expect,
}) => {
  const forget = () => registry.exec("UPDATE consents SET key_id = NULL, consent_key_id = NULL");
  await file(deskWith(first), state("p", "c", denying));
  await forget();
  for (const desk of [second, third].map(deskWith))
    await expect(async () => desk.of(question(["p"]))).rejects.toThrow("does not list");
  expect(await counts(deskWith(first), "p")).toEqual([1]);
  expect(await counts(deskWith(second), "p"), "the key is noted").toEqual([1]);
  await expect(async () => deskWith(last).of(question(["p"]))).rejects.toThrow("does not list");

  await forget();
  expect(await refileAll(third, [], [])).toEqual(left(0, 1));
  expect(await refileAll(third, ["p"], ["c"]), "its names say which key it has").toEqual(left(1, 0));
  expect(await counts(deskWith(last), "p")).toEqual([1]);

  await registry.exec("UPDATE consents SET consent_key_id = NULL");
  await file(deskWith(last), state("q", "d"));
  await expect(async () => deskWith(first).of(question(["p"])), "a row has a further key").rejects.toThrow(
    "does not list",
  );
});

test("refiling merges the readings of a patient, who is read on under the first key alone", async ({
  expect,
}) => {
  const origins = (consent: string) => ({ ...state("p", consent), mayPermit: false, filedBy: undefined });
  for (const [desk, found] of [
    [first, [origins("c"), origins("d")]],
    [third, [origins("c"), origins("d"), origins("e")]],
  ] as const) {
    const { change } = await deskWith(desk).claimReading(reading);
    await deskWith(desk).fileReading(change, reading, found);
    vi.setSystemTime(Date.now() + 400_000);
  }
  const other = { ...reading, patients: ["nobody"] };
  await deskWith(second).fileReading((await deskWith(second).claimReading(other)).change, other, []);
  const readings = async () =>
    (await registry.prepare("SELECT seen FROM consent_readings").all<{ seen: string }>()).results;
  expect(await readings()).toHaveLength(3);
  expect(await refileAll(third, [], ["c", "d", "e"])).toEqual(left(1, 3));
  expect(await refileAll(third, ["p"], [])).toEqual(left(3, 0));
  const [merged, ...more] = await readings();
  expect([JSON.parse(merged?.seen ?? ""), more]).toEqual([
    [expect.any(String), expect.any(String), expect.any(String)],
    [],
  ]);

  const { change, claimed } = await deskWith(last).claimReading(reading);
  expect(claimed).toEqual(["p"]);
  await deskWith(last).fileReading(change, reading, [origins("e")]);
  expect(await counts(deskWith(last), "p"), "Consents that the former key's reading saw end").toEqual([1]);
});

test("a Consent that an isolate of the step before files again after a refiling is refiled, until 0 rows remain", async ({
  expect,
}) => {
  await file(deskWith(first), state("p", "c"));
  expect(await refileAll(third, ["p"], ["c"])).toEqual(left(1, 0));
  await file(deskWith(second), state("p", "c", denying));
  expect(await counts(deskWith(third), "p")).toEqual([1]);
  expect(await refileAll(third, ["p"], ["c"])).toMatchObject(left(1, 0));
  expect(await counts(deskWith(last), "p")).toEqual([1]);
  await file(deskWith(second), state("p", "c", withdrawn));
  expect(await refileAll(third, ["p"], ["c"])).toMatchObject({ value: { remaining: 0 } });
  expect(await counts(deskWith(last), "p")).toEqual([0]);

  const further = randomBytes(32).toString("base64url");
  await file(deskWith(second), state("p", "c", denying), state("q", "d", denying));
  await file(deskWith(third), state("q", "f", denying));
  const refiled = await refileAll(`${further} ${third}`, ["p", "q"], ["c", "d", "f"]);
  expect(refiled, "two former keys").toMatchObject({ value: { remaining: 0 } });
  expect(await counts(deskWith(further), "p", "q")).toEqual([1, 2]);
});

test("a reading at a slow origin is filed a minute after its claim, and meanwhile the patient is no other request's", async ({
  expect,
}) => {
  const desk = deskWith(first);
  const claim = await desk.claimReading(reading);
  expect(claim.claimed).toEqual(["p"]);
  for (let seconds = 0; seconds < 60; seconds += 10) {
    vi.setSystemTime(Date.now() + 10_000);
    await runDurableObjectAlarm(revocationsOf(env));
    expect((await desk.claimReading(reading)).claimed).toEqual([]);
  }
  expect(await desk.fileReading(claim.change, reading, [state("p", "c")])).toEqual(["p"]);
  expect(await counts(desk, "p")).toEqual([1]);
  expect((await desk.claimReading(reading)).read).toMatchObject([{ patient: "p", ageMilliseconds: 60_000 }]);
  const lost = { ...reading, patients: ["q"] };
  expect((await desk.claimReading(lost)).claimed, "a reader that was lost").toEqual(["q"]);
  vi.setSystemTime(Date.now() + 65_000);
  expect((await desk.claimReading(lost)).claimed).toEqual(["q"]);
});
