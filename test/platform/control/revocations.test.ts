import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import * as fc from "fast-check";
import { afterEach, beforeEach, test, vi } from "vitest";
import { denialName } from "#identity/denial";
import type { Denial } from "#identity/denial-document";
import type { RevocationUpdate } from "#registry/revocation";
import { instant } from "#kernel/clock";
import { applyRegistry } from "#platform/registry/apply-registry";
import { RevocationStore } from "#platform/revocation/object/store";
import { Revocations, revocationsOf } from "#platform/revocation/object/revocations";
import { withValue, type RegistryFile } from "../../support/registry-file.ts";
import { emptyRegistry, everything, sampleFile } from "./registry.ts";
import { failure } from "../../support/failure.ts";

const desk = exports.RegistryDesk;
const revocations = () => revocationsOf(env);
const telehealth = { client: "telehealth", issuers: ["https://gateway.example", "telehealth"] };
const payer = { client: "payer", issuers: ["https://gateway.example", "payer"] };
const denial: Denial = { kind: "client", client: "telehealth" };
let registry: D1Database;
let file: RegistryFile;

/** The names that an update lists as changed, with repetitions. */
const changed = (news: RevocationUpdate) =>
  news.kind === "deltas" ? news.deltas.filter(({ kind }) => kind === "changed").map(({ name }) => name) : [];
const pending = () =>
  runInDurableObject(
    revocations(),
    (_, { storage }) => storage.sql.exec("SELECT id FROM pending").toArray().length,
  );
/** Makes D1 refuse all writes. */
const broken = () =>
  registry.exec("CREATE TRIGGER broken BEFORE INSERT ON clients BEGIN SELECT RAISE(ABORT, 'no writes'); END");

/** Writes the file's entries without a delta. */
const registerWithoutDeltas = async () => {
  const ports = { clock: () => instant(Date.now()), publicUrl: env.PUBLIC_URL };
  if (!(await applyRegistry(registry, file, "add", ports)).ok) throw new Error("the file is not applied");
};

/** The epoch before an object's first: an object begins with the milliseconds at its start. */
const beforeFirst = () => Date.now() - 1;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-11-24T10:15:00Z") });
  registry = await emptyRegistry();
  file = await sampleFile();
});
afterEach(() => {
  vi.useRealTimers();
});

test("each record that a registry file writes gets a delta before the write and after it; a file that changes nothing makes no delta", async ({
  expect,
}) => {
  expect(await desk.apply(file, "add")).toMatchObject({ ok: true });
  const news = await revocations().news(telehealth, beforeFirst());
  expect(changed(news).toSorted()).toEqual([
    "client/telehealth",
    "client/telehealth",
    "origin/main",
    "origin/main",
  ]);
  expect(await pending()).toBe(0);
  expect(await desk.apply(file, "add")).toEqual({
    ok: true,
    value: { counts: { added: 0, changed: 0 }, changes: [] },
  });
  expect((await revocations().news(telehealth, beforeFirst())).epoch).toBe(news.epoch);
});

test("a change of a grant, an agreement, a certificate or a client is a delta of its client, and only for its client", async ({
  expect,
}) => {
  await desk.apply(file, "add");
  const changes: readonly (readonly [pointer: string, value: unknown])[] = [
    ["/grants/0/quotas/default/requests", 7],
    ["/clients/0/certificates", ["A".repeat(43)]],
    ["/clients/0/status", "suspended"],
  ];
  for (const [pointer, value] of changes) {
    file = withValue(file, pointer, value);
    const { epoch } = await revocations().news(telehealth);
    expect(await desk.apply(file, "replace"), pointer).toMatchObject({ ok: true });
    expect(changed(await revocations().news(telehealth, epoch)), pointer).toEqual([
      "client/telehealth",
      "client/telehealth",
    ]);
    expect(changed(await revocations().news({ ...telehealth, client: "payer" }, epoch)), pointer).toEqual([]);
  }
});

test("while D1 takes no writes a change stays pending, announced as begun, and the alarm finishes it once D1 works again", async ({
  expect,
}) => {
  const before = await everything(registry);
  await broken();
  expect(await failure(() => desk.apply(file, "add"))).not.toBe("no failure");
  expect(await pending()).toBe(1);
  expect(await everything(registry)).toEqual(before);
  const { epoch } = await revocations().news(telehealth);

  vi.setSystemTime(Date.now() + 10_000);
  await runDurableObjectAlarm(revocations());
  expect(await pending(), "D1 still takes none").toBe(1);

  await registry.exec("DROP TRIGGER broken");
  await evictDurableObject(revocations());
  vi.setSystemTime(Date.now() + 10_000);
  await runDurableObjectAlarm(revocations());
  expect(await pending()).toBe(0);
  expect(changed(await revocations().news(telehealth, epoch))).toContain("client/telehealth");
  expect(await desk.apply(file, "add"), "all of it is there").toEqual({
    ok: true,
    value: { counts: { added: 0, changed: 0 }, changes: [] },
  });
});

const quotas = async () => (await registry.prepare("SELECT quota_requests FROM grants").raw()).flat();
const asking = (requests: number) => withValue(file, "/grants/0/quotas/default/requests", requests);
const brokenGrants = () =>
  registry.exec("CREATE TRIGGER broken BEFORE UPDATE ON grants BEGIN SELECT RAISE(ABORT, 'no writes'); END");

test("a write that was cut off is done before a later write, so that it never undoes the later write", async ({
  expect,
}) => {
  await desk.apply(file, "add");
  await brokenGrants();
  expect(await failure(() => desk.apply(asking(999), "replace"))).toContain("no writes");
  await registry.exec("DROP TRIGGER broken");
  expect(await desk.apply(asking(1), "replace")).toMatchObject({ ok: true });
  vi.setSystemTime(Date.now() + 10_000);
  await runDurableObjectAlarm(revocations());
  expect(await quotas(), "the narrower grant stays").toEqual([1]);
  expect(await pending()).toBe(0);
});

test("a write that cannot be done delays no later write: it is given up, and reported as over", async ({
  expect,
}) => {
  await desk.apply(file, "add");
  await brokenGrants();
  expect(await failure(() => desk.apply(asking(999), "replace"))).toContain("no writes");
  const later = withValue(file, "/origins/0/url", "https://other.example");
  expect(await desk.apply(later, "replace")).toMatchObject({ ok: true });
  expect((await revocations().news(telehealth)).pending).toEqual([]);
  await registry.exec("DROP TRIGGER broken");
  vi.setSystemTime(Date.now() + 10_000);
  await runDurableObjectAlarm(revocations());
  expect(await quotas()).toEqual(file.grants.map(({ quotas: { default: of } }) => of.requests));
});

test("simultaneous writes are done one after another, and the last write stands", async ({ expect }) => {
  await desk.apply(file, "add");
  const all = await Promise.all([2, 3, 4, 5].map((requests) => desk.apply(asking(requests), "replace")));
  for (const applied of all) expect(applied).toMatchObject({ ok: true });
  expect(await quotas()).toEqual([5]);
  expect(await pending()).toBe(0);
});

test("a change in progress is reported as pending to the guards it concerns, and as done with the bookmark of its write", async ({
  expect,
}) => {
  expect(await revocations().news(telehealth)).toMatchObject({ bookmark: null, pending: [] });
  await desk.apply(file, "add");
  const { bookmark: first } = await revocations().news(telehealth);
  expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}$/u);

  await registry.exec(
    "CREATE TRIGGER broken BEFORE UPDATE ON clients BEGIN SELECT RAISE(ABORT, 'no writes'); END",
  );
  file = withValue(
    withValue(file, "/clients/0/status", "suspended"),
    "/origins/0/url",
    "https://other.example",
  );
  expect(await failure(() => desk.apply(file, "replace"))).toContain("no writes");
  await evictDurableObject(revocations());
  const whole = await revocations().news(telehealth);
  expect(whole).toMatchObject({ kind: "whole", bookmark: first });
  expect(whole.pending.toSorted()).toEqual(["client/telehealth", "origin/main"]);
  expect(await revocations().news(payer, beforeFirst())).toMatchObject({
    kind: "deltas",
    bookmark: first,
    pending: ["origin/main"],
  });

  await registry.exec("DROP TRIGGER broken");
  vi.setSystemTime(Date.now() + 10_000);
  await runDurableObjectAlarm(revocations());
  const { bookmark, pending } = await revocations().news(telehealth);
  expect(pending).toEqual([]);
  expect((bookmark ?? "") > (first ?? "")).toBe(true);
});

test("a change that D1 has made is pending until it is reported as done: when the object ends between the two, the alarm reports it, with a later bookmark", async ({
  expect,
}) => {
  await broken();
  await failure(() => desk.apply(file, "add"));
  await registry.exec("DROP TRIGGER broken");
  const session = registry.withSession("first-primary");
  const written = await applyRegistry(registry, file, "add", {
    clock: () => instant(Date.now()),
    publicUrl: env.PUBLIC_URL,
  });
  expect(written).toMatchObject({ ok: true });
  await session.prepare("SELECT 1").run();
  const before = await everything(registry);
  await evictDurableObject(revocations());
  expect((await revocations().news(telehealth)).pending).toContain("client/telehealth");

  vi.setSystemTime(Date.now() + 10_000);
  await runDurableObjectAlarm(revocations());
  const { bookmark, pending: left } = await revocations().news(telehealth);
  expect(left).toEqual([]);
  expect((bookmark ?? "") > (session.getBookmark() ?? "none")).toBe(true);
  expect(await everything(registry)).toEqual(before);
});

test("writes may be reported as done in any order, and bookmarks may be lost: the bookmark has all of them, and never goes backwards", async ({
  expect,
}) => {
  const kind = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom("begin", "write", "finish") },
    { weight: 1, arbitrary: fc.constant("lose") },
  );
  const step = fc.record({ kind, which: fc.nat(5) });
  await runInDurableObject(revocations(), (_, { storage }) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 40 }), (steps) => {
        storage.sql.exec(
          "DELETE FROM pending; DELETE FROM pending_records; DELETE FROM standing; DELETE FROM deltas",
        );
        const store = new RevocationStore(storage, instant(Date.now()));
        const begun: { readonly id: number; written?: number }[] = [];
        let [writes, done, last] = [0, 0, 0];
        for (const { kind, which } of steps) {
          const one = begun[which % begun.length];
          if (kind === "begin")
            begun.push({ id: store.begin(undefined, "{}", "add", ["origin/main"], instant(Date.now())) });
          else if (one === undefined) continue;
          else if (kind === "write") one.written ??= writes += 1;
          else if (one.written !== undefined) {
            begun.splice(begun.indexOf(one), 1);
            store.finish(one.id, kind === "lose" ? null : `${one.written}`.padStart(4, "0"));
            done = Math.max(done, one.written);
          }
          const { bookmark, pending: names } = store.news(telehealth, undefined, instant(Date.now()));
          expect(names.length > 0).toBe(begun.length > 0);
          if (bookmark === null) continue;
          expect(Number(bookmark)).toBeGreaterThanOrEqual(Math.max(done, last));
          last = Number(bookmark);
        }
      }),
      { numRuns: 500 },
    );
  });
});

test("a pending change that can no longer be made is reported as over", async ({ expect }) => {
  await broken();
  await failure(() => desk.apply(file, "add"));
  await registry.exec("DROP TRIGGER broken");
  // another writer was quicker: the file clashes now
  await desk.apply(withValue(file, "/clients/0/kind", "payer"), "add");
  vi.setSystemTime(Date.now() + 10_000);
  await runDurableObjectAlarm(revocations());
  expect(await pending()).toBe(0);
});

test("an operator's denial is in force when the call returns, once, and until it is lifted", async ({
  expect,
}) => {
  await registerWithoutDeltas();
  expect(await desk.revoke(denial)).toMatchObject({ ok: true });
  const news = await revocations().news(telehealth);
  expect(news).toMatchObject({ kind: "whole", denied: [{ name: denialName(denial), until: null }] });
  expect(await desk.revoke(denial)).toMatchObject({ ok: true });
  expect((await revocations().news(telehealth)).epoch, "denied already").toBe(news.epoch);
  await evictDurableObject(revocations());
  expect(await revocations().news(telehealth)).toMatchObject({ denied: [{ name: denialName(denial) }] });
  expect(await desk.lift(denial)).toEqual({ ok: true, value: true });
  expect(await desk.lift(denial)).toEqual({ ok: true, value: false });
  expect(await revocations().news(telehealth, news.epoch)).toMatchObject({
    deltas: [{ kind: "lifted", name: denialName(denial) }],
  });
});

test("a token's denial is only ever made longer", async ({ expect }) => {
  const until = (seconds: number) => ({
    kind: "token",
    issuer: env.PUBLIC_URL,
    id: "jti",
    until: Date.now() + seconds * 1_000,
  });
  for (const seconds of [300, 60, 600]) await desk.revoke(until(seconds));
  expect(await revocations().news({ ...telehealth, issuers: [env.PUBLIC_URL] })).toMatchObject({
    denied: [{ until: Date.now() + 600_000 }],
  });
});

test("an invalid denial is refused with the name of the field", async ({ expect }) => {
  expect(await desk.revoke({ kind: "client" })).toEqual({
    ok: false,
    error: { reason: "denial_malformed", field: "client" },
  });
  expect(await desk.lift("everything")).toMatchObject({ ok: false });
});

test("a denial of something that is not registered is refused with the name of the field, and denies nothing", async ({
  expect,
}) => {
  await registerWithoutDeltas();
  const grant = { kind: "grant", client: "telehealth", origin: "main", purpose: "TREAT" };
  for (const [unknown, field] of [
    [{ kind: "client", client: "telehaelth" }, "client"],
    [{ kind: "agreement", client: "nobody", agreement: "a" }, "client"],
    [{ kind: "agreement", client: "telehealth", agreement: "no-such" }, "agreement"],
    [{ ...grant, origin: "elsewhere" }, "origin"],
    [{ ...grant, purpose: "HRESCH" }, "purpose"],
    [{ kind: "policy", digest: `sha256:${"0".repeat(64)}` }, "digest"],
    [{ kind: "key", issuer: "https://elsewhere.example", keyId: "k" }, "issuer"],
    [{ kind: "token", issuer: "https://elsewhere.example", id: "t", until: Date.now() + 1_000 }, "issuer"],
  ] as const)
    expect(await desk.revoke(unknown), field).toEqual({
      ok: false,
      error: { reason: "denial_unregistered", field },
    });
  expect(await revocations().news(telehealth)).toMatchObject({ denied: [] });
});

test("while the registry fails, a denial is made without a look at it", async ({ expect }) => {
  await registry.exec("DROP TABLE policies");
  expect(await desk.revoke({ kind: "policy", digest: `sha256:${"0".repeat(64)}` })).toMatchObject({
    ok: true,
  });
  expect(await revocations().news(telehealth)).toMatchObject({ denied: [{ until: null }] });
});

test("guards can read the revocations, and have no further right", async ({ expect }) => {
  await registerWithoutDeltas();
  await desk.revoke(denial);
  expect(await exports.RevocationFeed.news(telehealth)).toMatchObject({
    denied: [{ name: denialName(denial) }],
  });
  for (const name of ["deny", "lift", "apply"]) {
    const call: unknown = Reflect.get(exports.RevocationFeed, name);
    expect(await failure(async () => (call as (value: unknown) => Promise<unknown>)(denial)), name).not.toBe(
      "no failure",
    ); // an RPC stub has its methods only when called
  }
});

test("denied persons, who stay denied until lifted, leave half of the room to the other denials", async ({
  expect,
}) => {
  await runInDurableObject(revocations(), (_, { storage }) =>
    storage.sql.exec(`INSERT INTO denials (name, client, issuer, until)
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
      SELECT '["person","https://i.example","' || i || '"]', NULL, 'https://i.example', NULL FROM n`),
  );
  const person: Denial = { kind: "person", issuer: "https://i.example", subject: "0" };
  expect(await failure(async () => await revocations().deny(person))).toContain("too many denied persons");
  await revocations().deny(denial);
  expect((await revocations().news(telehealth)).kind).toBe("whole");
});

test("the built-in issuer revokes its own tokens, only its client's guard gets the delta, and it has no further right", async ({
  expect,
}) => {
  const until = instant(Date.now() + 300_000);
  const name = (id: string) => denialName({ kind: "token", issuer: env.PUBLIC_URL, id });
  const issuer = exports.OwnTokenRevocation;
  expect(await issuer.revoke("telehealth", "jti", until)).toBe(true);
  expect(await revocations().news(telehealth)).toMatchObject({ denied: [{ name: name("jti"), until }] });
  expect(await revocations().news({ ...telehealth, client: "payer" })).toMatchObject({ denied: [] });
  for (const [id, end] of [
    ["", until],
    ["jti", instant(Date.now() + 3_600_000)],
    ["jti", instant(Number.NaN)],
  ] as const) {
    expect(await failure(() => issuer.revoke("telehealth", id, end)), `${id} ${end}`).not.toBe("no failure");
  }
  for (const call of ["deny", "lift", "apply", "news"]) {
    const method: unknown = Reflect.get(issuer, call);
    expect(
      await failure(async () => (method as (value: unknown) => Promise<unknown>)(denial)),
      call,
    ).not.toBe("no failure"); // an RPC stub has its methods only when called
  }
});

test("a client that ends token after token is stopped, and neither another client nor an operator is", async ({
  expect,
}) => {
  const until = instant(Date.now() + 300_000);
  const issuer = exports.OwnTokenRevocation;
  for (let n = 0; n < 50; n += 1) expect(await issuer.revoke("telehealth", `jti-${n}`, until)).toBe(true);
  expect(await issuer.revoke("telehealth", "jti-50", until)).toBe(false);
  expect(await issuer.revoke("payer", "jti-51", until)).toBe(true);
  expect(await desk.revoke({ kind: "token", issuer: env.PUBLIC_URL, id: "jti-50", until })).toMatchObject({
    ok: true,
  });
  vi.setSystemTime(Date.now() + 300_000 + 120_000);
  expect(
    await issuer.revoke("telehealth", "jti-52", instant(Date.now() + 300_000)),
    "when the others are over",
  ).toBe(true);
});

test("the calls of the revocations are exactly these", ({ expect }) => {
  const names = Object.getOwnPropertyNames(Revocations.prototype).sort();
  expect(names).toEqual([
    "alarm",
    "apply",
    "applyApproved",
    "beginConsents",
    "constructor",
    "denials",
    "deniedSince",
    "deny",
    "denyOwnToken",
    "fileConsents",
    "lift",
    "liftApproved",
    "news",
    "pendingConsents",
    "seed",
  ]);
});
