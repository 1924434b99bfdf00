import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { afterEach, beforeEach, test, vi } from "vitest";
import type { ConsentRules } from "#policy/consent/consent";
import { readStoredForm } from "#policy/consent/stored-form";
import { unreadConsents } from "#policy/consent/unread-consents";
import { revocationsOf } from "#platform/revocation/object/revocations";
import type { ConsentWriter } from "#platform/revocation/object/store";
import type { RecordName } from "#registry/revocation";
import { emptyRegistry } from "./registry.ts";

const desk = exports.ConsentDesk;
const revocations = () => revocationsOf(env);
const listener = { client: "telehealth", issuers: [] };
const active: ConsentRules = { isActive: true, readings: [] };
const withdrawn: ConsentRules = { isActive: false, readings: [] };
const filing = (patient: string, consent: string, rules = active) => ({
  consent,
  content: { patient, rules },
  mayPermit: true,
  filedBy: "registrar",
});
const of = async (patients: readonly string[], hasPending = false) =>
  (await desk.of({ origin: "main", patients, bookmark: null, hasPending })).map(({ consents }) => consents);
let registry: D1Database;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-11-24T10:15:00Z") });
  registry = await emptyRegistry();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a filed Consent is in force for its patient at its origin until it is withdrawn, and no version is ever lost", async ({
  expect,
}) => {
  const filed = await desk.file(await desk.announce("main", [], ["p"]), "main", [filing("p", "c")]);
  const { epoch, bookmark } = await revocations().news(listener);
  expect(filed, "its filer knows what the next deltas say").toMatchObject({ epoch, bookmark });
  const [[first] = [], second] = await of(["p", "q"]);
  expect(first).toMatchObject({ mayPermit: true, filedBy: "registrar" });
  expect(readStoredForm(first?.form ?? "")).toEqual(active);
  expect(second).toEqual([]);
  const elsewhere = await desk.of({ origin: "other", patients: ["p"], bookmark: null, hasPending: false });
  expect(elsewhere[0]?.consents).toEqual([]);

  await desk.file(await desk.announce("main", [], ["p"]), "main", [
    filing("p", "c", withdrawn),
    filing("p", "d"),
  ]);
  const [present] = await of(["p"]);
  expect(present?.length, "the second Consent").toBe(1);
  const rows = await registry.prepare("SELECT * FROM consents").all();
  expect(rows.results.length).toBe(3);
  expect(JSON.stringify(rows.results), "neither the patient's id nor the Consent's").not.toMatch(
    /"[pcd]"|Patient/u,
  );
});

test("of two readings the reading that began later counts, in whatever order they arrive", async ({
  expect,
}) => {
  const [earlier, later] = [await desk.announce("main", [], ["p"]), await desk.announce("main", [], ["p"])];
  await desk.file(later, "main", [filing("p", "c", withdrawn)]);
  await desk.file(earlier, "main", [filing("p", "c", active)]);
  expect(await of(["p"])).toEqual([[]]);
});

test("a Consent that is now about a further patient, or that was deleted, ends for the patient before", async ({
  expect,
}) => {
  await desk.file(await desk.announce("main", ["c"], ["p"]), "main", [filing("p", "c"), filing("p", "d")]);
  const { epoch } = await revocations().news(listener);
  await desk.file(await desk.announce("main", ["c"], ["q"]), "main", [filing("q", "c")]);
  expect((await of(["p", "q"])).map((consents) => consents.length)).toEqual([1, 1]);
  expect((await revocations().news(listener, epoch)).epoch, "both patients, before and after").toBe(
    epoch + 4,
  );
  const absent = { consent: "d", content: undefined, mayPermit: false, filedBy: undefined };
  await desk.file(await desk.announce("main", ["d"], []), "main", [absent]);
  expect((await of(["p", "q"])).map((consents) => consents.length)).toEqual([0, 1]);
});

test("a Consent that is withdrawn after the storage of the revocations was lost is withdrawn: its new version is the newest", async ({
  expect,
}) => {
  for (const rules of [withdrawn, active, withdrawn, active])
    await desk.file(await desk.announce("main", [], ["p"]), "main", [filing("p", "c", rules)]);
  expect((await of(["p"]))[0]).toHaveLength(1);
  await runInDurableObject(revocations(), (_, { storage }) => storage.deleteAll());
  await evictDurableObject(revocations());
  vi.setSystemTime(Date.now() + 10_000);
  await desk.file(await desk.announce("main", [], ["p"]), "main", [filing("p", "c", withdrawn)]);
  expect((await of(["p"]))[0]).toEqual([]);
});

test("after the storage of the revocations was lost D1 says which origins have Consents, and until it answers each may have some", async ({
  expect,
}) => {
  await desk.file(await desk.announce("main", [], ["p"]), "main", [filing("p", "c")]);
  const originsAfterLoss = async () => {
    await runInDurableObject(revocations(), (_, { storage }) => storage.deleteAll());
    await evictDurableObject(revocations());
    await revocations().deny({ kind: "client", client: "telehealth" });
    return (await revocations().news(listener)).consentOrigins;
  };
  expect(await originsAfterLoss()).toEqual(["main"]);
  await registry.exec("ALTER TABLE consents RENAME TO absent");
  expect(await originsAfterLoss()).toBeUndefined();
  await registry.exec("ALTER TABLE absent RENAME TO consents");
  await vi.waitFor(async () => expect((await revocations().news(listener)).consentOrigins).toEqual(["main"]));
});

test("after the storage of the revocations was restored to a time before an origin's first Consent D1 names this origin", async ({
  expect,
}) => {
  await desk.file(await desk.announce("main", [], ["p"]), "main", [filing("p", "c")]);
  await runInDurableObject(revocations(), (_, { storage }) =>
    storage.sql.exec("DELETE FROM consent_origins WHERE name = 'main'"),
  );
  await evictDurableObject(revocations());
  await vi.waitFor(async () => expect((await revocations().news(listener)).consentOrigins).toEqual(["main"]));
});

test("every guard gets a delta before the change and after it, and learns which origins have Consents", async ({
  expect,
}) => {
  expect((await revocations().news(listener)).consentOrigins).toEqual([]);
  const before = Date.now() - 1; // an object's first epoch is the milliseconds at its start
  const change = await desk.announce("main", [], ["p", "p", "q"]);
  const begun = await revocations().news(listener, before);
  expect(begun).toMatchObject({ consentOrigins: ["main"], epoch: before + 2 });
  expect(begun.pending.length).toBe(2);
  const [{ subject } = { subject: "" }] = await desk.of({
    origin: "main",
    patients: ["p"],
    bookmark: null,
    hasPending: false,
  });
  expect(begun.pending).toContain(`consent/main/${subject}`);
  await desk.file(change, "main", [filing("p", "c")]);
  const done = await revocations().news(listener, begun.epoch);
  expect(done).toMatchObject({ pending: [], epoch: begun.epoch + 2 });
  expect(done.bookmark).toEqual(expect.any(String));
});

test("while a change is pending the old version and the new version deny, and neither permits", async ({
  expect,
}) => {
  await desk.file(await desk.announce("main", [], ["p"]), "main", [filing("p", "c")]);
  const change = await desk.announce("main", [], ["p"]);
  expect((await of(["p"], true))[0]).toMatchObject([{ mayPermit: false }]);
  await registry.exec(
    "CREATE TRIGGER broken BEFORE INSERT ON consents BEGIN SELECT RAISE(ABORT, 'no writes'); END",
  );
  const denying: ConsentRules = { isActive: true, unclear: "scope", readings: [] };
  await expect(async () => desk.file(change, "main", [filing("p", "c", denying)])).rejects.toThrow();
  const [both = []] = await of(["p"], true);
  expect(both.map(({ mayPermit, form }) => [mayPermit, readStoredForm(form)])).toEqual([
    [false, active],
    [false, denying],
  ]);

  // the alarm writes it once D1 takes writes again, also after the object began anew
  await registry.exec("DROP TRIGGER broken");
  await evictDurableObject(revocations());
  vi.setSystemTime(Date.now() + 10_000);
  await runDurableObjectAlarm(revocations());
  const [after = []] = await of(["p"], true);
  expect(after.map(({ mayPermit, form }) => [mayPermit, readStoredForm(form)])).toEqual([[true, denying]]);
});

test("a statement follows rows while a Consent beside it changes, and until its own withdrawal is stored", async ({
  expect,
}) => {
  const statement = { kind: "disagreement", rows: ["Observation/1"], messages: [] } as const;
  const said = (rules: ConsentRules) => ({
    ...filing("p", "statement/1", rules),
    mayPermit: false,
    filedBy: undefined,
  });
  await desk.file(await desk.announce("main", [], ["p"]), "main", [
    filing("p", "c"),
    said({ isActive: true, readings: [], statement }),
  ]);
  const inForce = async () => {
    const [all = []] = await of(["p"], true);
    const statements = all.flatMap(({ form }) => readStoredForm(form).statement ?? []);
    return { permitting: all.filter(({ mayPermit }) => mayPermit).length, statements };
  };
  expect(await inForce()).toEqual({ permitting: 1, statements: [statement] });
  await desk.announce("main", ["c"], ["p"]);
  expect(await inForce(), "a Consent changes").toEqual({ permitting: 0, statements: [statement] });
  const change = await desk.announce("main", ["statement/1"], ["p"]);
  await registry.exec(
    "CREATE TRIGGER broken BEFORE INSERT ON consents BEGIN SELECT RAISE(ABORT, 'no writes'); END",
  );
  await expect(async () => desk.file(change, "main", [said(withdrawn)])).rejects.toThrow();
  expect(await inForce(), "the withdrawal is not stored").toEqual({ permitting: 0, statements: [statement] });
});

test("a change whose content never comes ends after 75 seconds, and what comes later is not filed", async ({
  expect,
}) => {
  await desk.file(await desk.announce("main", [], ["p"]), "main", [filing("p", "c")]);
  const change = await desk.announce("main", [], ["p"]);
  vi.setSystemTime(Date.now() + 10_000);
  await runDurableObjectAlarm(revocations());
  expect((await of(["p"], true))[0]).toMatchObject([{ mayPermit: false }]);
  vi.setSystemTime(Date.now() + 65_000);
  await runDurableObjectAlarm(revocations());
  expect((await of(["p"], true))[0]).toMatchObject([{ mayPermit: true }]);
  expect(await desk.file(change, "main", [filing("p", "c", withdrawn)])).toBeUndefined();
  expect((await revocations().news(listener)).pending).toEqual([]);
});

test("a client has at most as many changes announced as leave the same room to the next client, a patient to the next patient, and an origin to the next origin", async ({
  expect,
}) => {
  const begin = async (
    client: string,
    patient: string,
    authority: "patient" | "registrar" | "none" = "none",
    origin = "main",
  ) => {
    await desk.announce(origin, [], [patient], { client, authority });
    return runInDurableObject(revocations(), (_, { storage }) => {
      const [last] = storage.sql
        .exec("SELECT max(id) IN (SELECT pending FROM pending_records) AS is_announced FROM pending")
        .toArray();
      return last?.["is_announced"] === 1;
    });
  };
  /** How many changes of a client are announced before one is not. */
  const fill = async (
    client: string,
    patient: (n: number) => string,
    authority?: "patient" | "registrar",
  ) => {
    let many = 0;
    while (await begin(client, patient(many), authority)) many += 1;
    return many;
  };
  const each = (n: number) => `p${n}`;
  expect(await fill("a", () => "one patient")).toBe(25);
  expect(await fill("a", each), "further patients of the same client").toBeGreaterThan(5);
  for (const client of ["b", "c"]) expect(await fill(client, each), client).toBeGreaterThan(2);
  expect(await begin("a", "p1", "none", "other"), "the same client at another origin").toBe(true);
  expect(await fill("app", () => "p1", "patient"), "the patients' own room is free").toBe(50);
  expect(await begin("app", "p2", "patient"), "a different patient of the same app").toBe(true);
  expect(await begin("other app", "p1", "patient")).toBe(true);
  expect(await begin("app", "p1", "patient", "other"), "another origin").toBe(true);
  expect(await begin("registrar", "p1", "registrar")).toBe(true);
  const { pending } = await revocations().news(listener);
  expect(pending.length, "each answer to a guard names them").toBeLessThanOrEqual(500);
});

test("a change without room for an announcement is in force once it is filed, and is written again when D1 fails", async ({
  expect,
}) => {
  const writer = { client: "app", authority: "patient" } as const;
  for (let n = 0; n < 50; n += 1) await desk.announce("main", [], ["flooded"], writer);
  const [quick, slow] = [
    await desk.announce("main", [], ["flooded"], writer),
    await desk.announce("main", [], ["flooded"], writer),
  ];
  const { epoch } = await revocations().news(listener);
  expect(await desk.file(quick, "main", [filing("flooded", "c")])).toBeDefined();
  const { epoch: later } = await revocations().news(listener, epoch);
  expect(later, "a delta says so").toBeGreaterThan(epoch);

  await registry.exec("ALTER TABLE consents RENAME TO consents_of_before");
  await expect(async () => desk.file(slow, "main", [filing("flooded", "d")])).rejects.toThrow();
  await registry.exec("ALTER TABLE consents_of_before RENAME TO consents");
  await runDurableObjectAlarm(revocations());
  expect((await of(["flooded"]))[0]?.length).toBe(2);
});

test("a client with too many changes that wait for D1 begins none, and every other client does", async ({
  expect,
}) => {
  await runInDurableObject(revocations(), (_, { storage }) => {
    for (let n = 0; n < 125; n += 1) {
      storage.sql.exec("INSERT INTO consent_writers VALUES (?, 'main flood', 'none')", -n);
      storage.sql.exec("INSERT INTO unannounced_consents VALUES (?)", -n);
    }
  });
  const isRefused = async (client: string) => {
    let begun = 0;
    try {
      for (; begun < 200; begun += 1) await desk.announce("main", [], ["p"], { client, authority: "none" });
    } catch {
      return begun;
    }
    return begun;
  };
  expect([await isRefused("flood"), (await isRefused("clinic")) > 30]).toEqual([66, true]);
});

test("a change that has ended gives its room back", async ({ expect }) => {
  const writer = { client: "clinic", authority: "none" } as const;
  for (let n = 0; n < 40; n += 1)
    await desk.file(await desk.announce("main", [], ["p"], writer), "main", [filing("p", "c")]);
  const begun = await desk.announce("main", [], ["p"], writer);
  vi.setSystemTime(Date.now() + 75_000);
  await runDurableObjectAlarm(revocations());
  expect(await desk.file(begun, "main", [filing("p", "c")])).toBeUndefined();
  const rows = await runInDurableObject(revocations(), (_, { storage }) =>
    storage.sql.exec("SELECT * FROM consent_writers").toArray(),
  );
  expect(rows).toEqual([]);
});

/** Files Consents of a patient, some at a time. */
async function fileAll(patient: string, rules: readonly ConsentRules[]) {
  for (let from = 0; from < rules.length; from += 100) {
    const some = rules
      .slice(from, from + 100)
      .map((each, n) => filing(patient, `${patient}-${from + n}`, each));
    await desk.file(await desk.announce("main", [], [patient]), "main", some);
  }
}

test("in place of the Consents of a patient with too many on file come the rules that stand for them; another patient of the question has her own", async ({
  expect,
}) => {
  await fileAll(
    "whole",
    Array.from({ length: 1_000 }, () => active),
  );
  await fileAll(
    "many",
    Array.from({ length: 1_001 }, () => active),
  );
  const long: ConsentRules = { ...active, unclear: "x".repeat(60_000) };
  await fileAll("long", [long, long, long, long, long]);
  await fileAll("fits", [long, long, long, long]);
  await fileAll(
    "withdrawn",
    Array.from({ length: 1_001 }, () => withdrawn),
  );
  const found = await of(["whole", "many", "long", "fits", "withdrawn"]);
  expect(found.map(({ length }) => length)).toEqual([1_000, 1, 1, 4, 0]);
  for (const [only] of found.slice(1, 3)) {
    expect(only?.mayPermit).toBe(false);
    expect(readStoredForm(only?.form ?? "")).toEqual(unreadConsents);
  }
});

test("a Consent of a patient with too many on file is withdrawn as before, and the others count again", async ({
  expect,
}) => {
  await fileAll(
    "many",
    Array.from({ length: 1_001 }, () => active),
  );
  await desk.file(await desk.announce("main", [], ["many"]), "main", [filing("many", "many-0", withdrawn)]);
  expect((await of(["many"]))[0]?.length).toBe(1_000);
});

test("a question reads no pending change of other patients: they may be long", async ({ expect }) => {
  await desk.announce("main", [], ["p"]);
  const [subjectOfP, subjectOfQ] = (
    await desk.of({ origin: "main", patients: ["p", "q"], bookmark: null, hasPending: false })
  ).map(({ subject }) => `consent/main/${subject}` as const);
  const pendingOf = async (name = "consent/main/none" as RecordName) =>
    (await revocations().pendingConsents([name])).names;
  expect([await pendingOf(subjectOfP), await pendingOf(subjectOfQ)]).toEqual([[subjectOfP], []]);
});

const denying: ConsentRules = { isActive: true, unclear: "scope", readings: [] };

test("clients without authority file 100 Consents of a patient in force, and each as many as are free, however many file at once; one of these is filed again", async ({
  expect,
}) => {
  const writer = { client: "app", authority: "none" } as const;
  await desk.file(await desk.announce("main", [], ["p"]), "main", [filing("p", "permit")]);
  const byApp = (n: number) => ({ ...filing("p", `c${n}`, denying), mayPermit: false, filedBy: "app" });
  const file = async (from: number, many: number, by: ConsentWriter = writer) => {
    const some = Array.from({ length: many }, (_, n) => byApp(from + n));
    return desk.file(await desk.announce("main", [], ["p"], by), "main", some);
  };
  const done = await Promise.all(Array.from({ length: 13 }, (_, n) => file(10 * n, 10)));
  const refused = done.flatMap((each) => each?.refused ?? []);
  const inForce = async () => (await of(["p"]))[0]?.length;
  expect([await inForce(), refused.length, new Set(refused).size]).toEqual([51, 80, 80]);
  const stands = Array.from({ length: 130 }, (_, n) => n).find((n) => !refused.includes(`c${n}`)) ?? 0;
  expect((await file(stands, 1))?.refused, "it adds none").toEqual([]);
  expect((await file(200, 1))?.refused).toEqual(["c200"]);
  expect((await file(300, 1, { client: "app", authority: "patient" }))?.refused).toEqual([]);
  expect(await inForce()).toBe(52);
  for (const [index, many] of [25, 12, 6, 3, 2, 1, 0].entries()) {
    const client = `other-${index}`;
    const some = Array.from({ length: 60 }, (_, n) => ({
      ...byApp(1_000 * (index + 1) + n),
      filedBy: client,
    }));
    const announced = await desk.announce("main", [], ["p"], { client, authority: "none" });
    expect((await desk.file(announced, "main", some))?.refused, client).toHaveLength(60 - many);
  }
  expect(await inForce(), "with the permit").toBe(101);
  const weaker = { ...filing("p", "permit", denying), mayPermit: false, filedBy: "app" };
  const weakened = await desk.file(await desk.announce("main", [], ["p"], writer), "main", [weaker]);
  expect(weakened?.refused, "a permit in force may end").toEqual([]);
  expect((await of(["p"]))[0]?.some(({ mayPermit }) => mayPermit)).toBe(false);
});

test("a Consent that could not be read after its write denies as it was written, permits no longer, and is as it is read once it is filed", async ({
  expect,
}) => {
  const formsOf = async () =>
    (await of(["p"]))[0]
      ?.toSorted((a, b) => a.form.length - b.form.length)
      .map(({ mayPermit, form }) => [mayPermit, readStoredForm(form)]);
  const file = async (...states: readonly Parameters<typeof desk.file>[2][number][]) =>
    desk.file(await desk.announce("main", ["c"], ["p"]), "main", states);
  const unread = (rules: ConsentRules | undefined) => ({
    consent: "c",
    content: rules && { patient: "p", rules },
    mayPermit: true,
    filedBy: "app",
    isUnread: true as const,
  });
  await file(filing("p", "c"));
  await file(unread(denying));
  expect(await formsOf(), "both versions").toEqual([
    [false, active],
    [false, denying],
  ]);
  expect(await desk.isOnFile("main", filing("p", "c", denying))).toBe(false);
  await file(filing("p", "c"));
  expect(await formsOf()).toEqual([[true, active]]);

  await file(unread(undefined));
  expect(await formsOf(), "a deletion").toEqual([[false, active]]);
  await file(unread(denying));
  await file({ consent: "c", content: undefined, mayPermit: false, filedBy: "app" });
  expect(await formsOf(), "it is absent").toEqual([]);
});
