import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env, waitUntil } from "cloudflare:workers";
import { afterEach, beforeEach, test, vi } from "vitest";
import { denialName } from "#identity/denial";
import type { Denial } from "#identity/denial-document";
import type { AppliedUpdate } from "#registry/revocation";
import { instant } from "#kernel/clock";
import type { Denied, Spend } from "#limits/ports";
import { guardLimiter } from "#platform/guard/isolate/limiter";
import { RevocationStore } from "#platform/revocation/object/store";
import { revocationsOf } from "#platform/revocation/object/revocations";
import { line } from "./worker.ts";
import { failure } from "../../support/failure.ts";

const guards = env.CLIENT_GUARD;
const revocations = revocationsOf(env);
const issuer = "https://gateway.example";
const spendOf = (client: string): Spend => ({
  client,
  key: "main/TREAT",
  policy: "default",
  many: 1,
  quota: { requests: 100_000, windowSeconds: 3_600, revision: 1 },
  issuer,
});
const isolate = (onUpdate: (applied: AppliedUpdate) => void = () => {}) =>
  guardLimiter({
    guards,
    clock: () => instant(Date.now()),
    newId: () => crypto.randomUUID(),
    waitUntil,
    onUpdate,
  });
const refusesWhat = (denial: Denial) => (denied: Denied) =>
  denied.has(denialName(denial)) ? ("denied" as const) : undefined;
const pass = (milliseconds: number) => vi.setSystemTime(Date.now() + milliseconds);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-11-24T10:15:00Z") });
  Object.assign(line, { state: "up", reads: 0, slowFor: "" });
});
afterEach(() => {
  vi.useRealTimers();
});

const each = (client: string): readonly Denial[] => [
  { kind: "client", client },
  { kind: "certificate", x5t: `${client}${"A".repeat(43)}`.slice(0, 43) },
  { kind: "key", issuer, keyId: `${client}-key` },
  { kind: "key", issuer: client, keyId: "own-key" },
  { kind: "token", issuer, id: `${client}-jti`, until: instant(Date.UTC(2026, 10, 25)) },
  { kind: "agreement", client, agreement: "baa" },
  { kind: "grant", client, origin: "main", purpose: "TREAT" },
  { kind: "policy", digest: `sha256:${"0".repeat(64)}` },
];

test("T20: seven seconds after any denial no isolate admits the denied client, and a lifted denial admits it again as soon", async ({
  expect,
}) => {
  let slowest = 0;
  for (const [n, denial] of each("measured").entries()) {
    const limiters = Array.from({ length: 6 }, () => isolate());
    const admits = async () => {
      const spent = await Promise.all(
        limiters.map((limiter) => limiter.spend([spendOf("measured")], refusesWhat(denial))),
      );
      return spent.some(({ ok }) => ok);
    };
    // Leases of every age, and a guard that has just read that there are no revocations.
    for (const limiter of limiters) {
      await limiter.spend([spendOf("measured")], refusesWhat(denial));
      pass(430 + n * 37);
    }
    const denied = Date.now();
    await revocations.deny(denial);
    while (await admits()) pass(50);
    slowest = Math.max(slowest, Date.now() - denied);

    const lifted = Date.now();
    expect(await revocations.lift(denial)).toBe(true);
    while (!(await admits())) pass(50);
    expect(Date.now() - lifted).toBeLessThanOrEqual(7_000);
    pass(20_000);
  }
  expect(slowest).toBeLessThanOrEqual(7_000);
  expect(slowest, "the test sees leases that outlive the denial").toBeGreaterThan(1_000);
});

test("a request that was admitted before the denial is refused at its end, and a later request spends nothing", async ({
  expect,
}) => {
  const [denial] = each("slow");
  if (denial === undefined) throw new Error("there is one");
  const slow = isolate();
  const refuses = refusesWhat(denial);
  expect((await slow.spend([spendOf("slow")], refuses)).ok).toBe(true);
  await revocations.deny(denial);
  expect((await slow.renew(spendOf("slow"), refuses)).ok, "its lease lives").toBe(true);
  pass(5_000);
  expect(await slow.renew(spendOf("slow"), refuses)).toEqual({ ok: false, error: "denied" });
  expect(await slow.spend([spendOf("slow")], refuses)).toEqual({ ok: false, error: "denied" });
  expect(
    await slow.renew(spendOf("slow"), () => undefined),
    "the first request alone was spent",
  ).toMatchObject({
    ok: true,
    value: { remaining: 99_999 },
  });
});

test("a guard gets no deltas that concern only different clients or different issuers' clients", async ({
  expect,
}) => {
  const names = async (client: string, iss: string) => {
    const limiter = isolate();
    let names: Denied | undefined;
    await limiter.spend([{ ...spendOf(client), issuer: iss }], (denied) => void (names = denied));
    return names;
  };
  const [client, , key, own] = each("talked-about");
  for (const denial of each("talked-about")) await revocations.deny(denial);
  const theirs = await names("talked-about", issuer);
  const others = await names("not-talked-about", issuer);
  const elsewhere = await names("elsewhere", "https://other.example");
  for (const denial of [client, own]) {
    expect(theirs?.has(denialName(denial ?? { kind: "client", client: "" }))).toBe(true);
    expect(others?.has(denialName(denial ?? { kind: "client", client: "" }))).toBe(false);
  }
  expect(others?.has(denialName(key ?? { kind: "client", client: "" }))).toBe(true);
  expect(elsewhere?.has(denialName(key ?? { kind: "client", client: "" }))).toBe(false);
  for (const denial of each("talked-about")) await revocations.lift(denial);
});

test("a client that comes with another issuer's tokens from now on hears of that issuer's denials", async ({
  expect,
}) => {
  const limiter = isolate();
  const denial: Denial = { kind: "key", issuer: "https://next.example", keyId: "stolen" };
  await revocations.deny(denial);
  expect((await limiter.spend([spendOf("moving")], refusesWhat(denial))).ok).toBe(true);
  const moved = { ...spendOf("moving"), issuer: "https://next.example" };
  expect(await limiter.spend([moved], refusesWhat(denial))).toEqual({ ok: false, error: "denied" });
  pass(6_000);
  expect((await limiter.spend([spendOf("moving")], refusesWhat(denial))).ok, "and back").toBe(true);
});

test("a lease with one issuer's tokens never gets a different issuer's denials, whichever answer is quicker", async ({
  expect,
}) => {
  const denial: Denial = { kind: "token", issuer, id: "stolen", until: instant(Date.now() + 3_000_000) };
  await revocations.deny(denial);
  for (const slowFor of [issuer, "https://beside.example"]) {
    line.slowFor = slowFor;
    const client = `both-${slowFor.length}`;
    const beside = { ...spendOf(client), issuer: "https://beside.example" };
    const thief = isolate();
    const [stolen, other] = await Promise.all([
      thief.spend([spendOf(client)], refusesWhat(denial)),
      isolate().spend([beside], refusesWhat(denial)),
    ]);
    expect(stolen).toEqual({ ok: false, error: "denied" });
    expect(other.ok, "neither makes the second call wait").toBe(true);
    pass(6_000);
    expect(await thief.spend([spendOf(client)], refusesWhat(denial)), "nor later").toEqual({
      ok: false,
      error: "denied",
    });
  }
  await revocations.lift(denial);
});

test("a guard reads the revocations at most once in two seconds, however many leases it grants", async ({
  expect,
}) => {
  const limiters = Array.from({ length: 20 }, () => isolate());
  await Promise.all(limiters.map((limiter) => limiter.spend([spendOf("busy")], () => undefined)));
  expect(line.reads).toBe(1);
  pass(1_999);
  await isolate().spend([spendOf("busy")], () => undefined);
  expect(line.reads).toBe(1);
  pass(1);
  await isolate().spend([spendOf("busy")], () => undefined);
  expect(line.reads).toBe(2);
});

test.for(["down", "silent"] as const)(
  "with the line to the revocations %s, leases are granted for five seconds and then no more",
  async (state, { expect }) => {
    const client = `line-${state}`;
    const spend = () => isolate().spend([spendOf(client)], () => undefined);
    expect((await spend()).ok).toBe(true);
    line.state = state;
    pass(5_000);
    const last = await spend();
    expect(
      last.ok && (last.value[0]?.livesUntil ?? 0) - Date.now(),
      "two seconds, less the drift of clocks",
    ).toBe(1_750);
    pass(1);
    expect(await failure(spend)).toContain("revocation state unavailable (older than 5 s)");
    expect(
      await failure(() => guards.getByName(client).denials({ client, issuer })),
      "the token endpoint likewise",
    ).toContain("revocation state unavailable");
    line.state = "up";
    expect((await spend()).ok).toBe(true);
  },
);

test.for(["lost", "restored to an earlier time"] as const)(
  "a denial after the storage of the revocations was %s is heard by guards and isolates that knew a later state",
  async (what, { expect }) => {
    pass((what === "lost" ? 30 : 60) * 86_400_000); // later than each earlier test
    await evictDurableObject(revocations);
    const client = `after-${what.split(" ")[0]}`;
    const denials = Array.from({ length: 5 }, (_, n): Denial => ({
      kind: "key",
      issuer,
      keyId: `${client}-${n}`,
    }));
    const denial: Denial = { kind: "client", client };
    const [spend, stays] = [spendOf(client), isolate()];
    for (const each of denials.slice(0, 2)) await revocations.deny(each);
    const before = await runInDurableObject(revocations, (_, { storage }) =>
      ["deltas", "denials", "denial_epochs", "sqlite_sequence"].map((table) => ({
        table,
        rows: storage.sql.exec(`SELECT * FROM ${table}`).toArray(),
      })),
    );
    for (const each of denials) await revocations.deny(each);
    expect((await stays.spend([spend], refusesWhat(denial))).ok).toBe(true);
    pass(10_000);
    await runInDurableObject(revocations, (_, { storage }) => {
      for (const { table, rows } of before) {
        storage.sql.exec(`DELETE FROM ${table}`);
        for (const row of what === "lost" ? [] : rows)
          storage.sql.exec(
            `INSERT INTO ${table} (${Object.keys(row).join(", ")}) VALUES (${Object.keys(row)
              .map(() => "?")
              .join(", ")})`,
            ...Object.values(row),
          );
      }
    });
    await evictDurableObject(revocations);
    await revocations.deny(denial);
    await revocations.deny(denials[0] ?? denial);
    pass(7_000);
    expect((await stays.spend([spend], refusesWhat(denial))).ok).toBe(false);
    expect((await isolate().spend([spend], refusesWhat(denial))).ok).toBe(false);
  },
);

test("a guard whose clock steps back asks again, and grants nothing without an answer", async ({
  expect,
}) => {
  const denial: Denial = { kind: "client", client: "back" };
  const spend = () => isolate().spend([spendOf("back")], refusesWhat(denial));
  expect((await spend()).ok).toBe(true);
  await revocations.deny(denial);
  pass(-60_000);
  line.state = "down";
  expect(await failure(spend)).toContain("revocation state unavailable (older than 5 s)");
  line.state = "up";
  expect(await spend()).toEqual({ ok: false, error: "denied" });
});

test("a guard that never read the revocations grants nothing", async ({ expect }) => {
  line.state = "down";
  expect(await failure(() => isolate().spend([spendOf("never-told")], () => undefined))).toContain(
    "revocation state unavailable (older than 5 s)",
  );
});

test.for(["evicted", "kept"] as const)(
  "an isolate that was away for 300 changes hears the whole from a guard that was %s",
  async (guard, { expect }) => {
    const stale: AppliedUpdate["stale"][] = [];
    const limiter = isolate((applied) => stale.push(applied.stale));
    const denial: Denial = { kind: "client", client: `away-${guard}` };
    const spend = spendOf(`away-${guard}`);
    await limiter.spend([spend], refusesWhat(denial));
    await revocations.deny(denial);
    await Promise.all(
      Array.from({ length: 300 }, (_, n) =>
        revocations.deny({ kind: "key", issuer, keyId: `${guard}-${n}` }),
      ),
    );
    if (guard === "evicted") await evictDurableObject(guards.getByName(`away-${guard}`));
    pass(6_000);
    expect((await limiter.spend([spend], refusesWhat(denial))).ok).toBe(false);
    expect(stale, "the records that changed meanwhile are unknown").toEqual([[], "all"]);
  },
);

test("a lease includes the registry's state: its epoch, the bookmark of its last write, the pending records, and the age of this state", async ({
  expect,
}) => {
  const heard: AppliedUpdate[] = [];
  const limiter = isolate((applied) => heard.push(applied));
  const hear = async () => {
    await limiter.renew(spendOf("reader"), () => undefined);
    return heard.at(-1);
  };
  const stored = <T>(change: (store: RevocationStore) => T) =>
    runInDurableObject(revocations, (_, { storage }) =>
      change(new RevocationStore(storage, instant(Date.now()))),
    );
  const first = await stored((store) =>
    store.begin(undefined, "{}", "add", ["client/reader", "client/other"], instant(Date.now())),
  );
  expect(await hear()).toMatchObject({
    client: "reader",
    standing: { bookmark: null, pending: ["client/reader"] },
    asOf: Date.now(),
  });
  await stored((store) => store.finish(first, "0001"));
  const second = await stored((store) =>
    store.begin(undefined, "{}", "add", ["origin/main"], instant(Date.now())),
  );

  pass(6_000);
  const { epoch } = heard.at(-1)?.standing ?? { epoch: 0 };
  expect(await hear()).toMatchObject({
    standing: { bookmark: "0001", pending: ["origin/main"] },
    stale: ["client/reader", "origin/main"],
  });
  expect(heard.at(-1)?.standing.epoch).toBeGreaterThan(epoch);
  const read = Date.now();
  await stored((store) => store.finish(second, "0002"));
  pass(1_900);
  await isolate((applied) => heard.push(applied)).spend([spendOf("reader")], () => undefined);
  expect(heard.at(-1), "as old as the guard's knowledge, not as the answer").toMatchObject({
    standing: { bookmark: "0001" },
    asOf: read,
  });
});

test("tokens are denied until they have ended, then forgotten", async ({ expect }) => {
  const kept = () =>
    runInDurableObject(
      revocations,
      (_, { storage }) =>
        storage.sql.exec("SELECT name FROM denials WHERE until IS NOT NULL").toArray().length,
    );
  const before = await kept();
  const token = (id: string): Denial => ({ kind: "token", issuer, id, until: instant(Date.now() + 300_000) });
  await revocations.deny(token("ends"));
  expect(await kept()).toBe(before + 1);
  pass(421_000);
  await revocations.deny(token("next"));
  expect(await kept(), "two minutes past its end").toBeLessThanOrEqual(before + 1);
  expect(await revocations.lift({ ...token("ends") })).toBe(false);
});
