import { beforeAll, test } from "vitest";
import type { RecordName } from "#registry/revocation";
import { instant } from "#kernel/clock";
import { applyRegistry } from "#platform/registry/apply-registry";
import { clientDirectory } from "#platform/registry/client-directory";
import { applyRevocationDeltas } from "#platform/registry/apply-deltas";
import { issuerDirectory } from "#platform/registry/issuer-directory";
import { originDirectory } from "#platform/registry/origin-directory";
import { d1PolicyStore } from "#platform/registry/policy-store";
import { RegistryReader } from "#platform/registry/registry-reader";
import { emptyRegistry, sampleFile } from "./registry.ts";

let registry: D1Database;
let now = 1_000_000;
const clock = () => instant(now);
beforeAll(async () => {
  registry = await emptyRegistry();
  await applyRegistry(registry, await sampleFile(), "add", {
    clock,
    publicUrl: "https://gateway.example.org",
  });
});

/** A D1 that lists its queries and can be cut off. */
function watched(): {
  database: D1Database;
  statements: string[];
  roundTrips: () => number;
  cut: (off: boolean) => void;
} {
  const statements: string[] = [];
  let [trips, off] = [0, false];
  const trip = () => {
    trips += 1;
    if (off) throw new Error("D1 is down");
  };
  const database: D1Database = new Proxy(registry, {
    get(target, name) {
      if (name === "withSession") return () => database; // registry-reader.test.ts tests which copy is used
      if (name === "prepare") {
        return (sql: string) => {
          statements.push(sql);
          return counted(target.prepare(sql));
        };
      }
      if (name === "batch") {
        return (batch: D1PreparedStatement[]) => {
          trip();
          return target.batch(batch.map((each) => originals.get(each) ?? each));
        };
      }
      throw new Error(`the gateway called ${String(name)} of D1`);
    },
  });
  const originals = new WeakMap<D1PreparedStatement, D1PreparedStatement>();
  const counted = (statement: D1PreparedStatement): D1PreparedStatement => {
    const proxy = new Proxy(statement, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (name === "bind") return (...values: unknown[]) => counted(target.bind(...values));
        if (typeof member !== "function") return member;
        return (...values: unknown[]): unknown => {
          trip();
          return Reflect.apply(member, target, values);
        };
      },
    });
    originals.set(proxy, statement);
    return proxy;
  };
  return { database, statements, roundTrips: () => trips, cut: (cutOff) => (off = cutOff) };
}

test("the gateway's readers of the registry say nothing to D1 but SELECT, and ask once for a client", async ({
  expect,
}) => {
  const { database, statements, roundTrips } = watched();
  const client = await clientDirectory(new RegistryReader(database, clock)).find("telehealth");
  expect(client?.id).toBe("telehealth");
  expect(roundTrips()).toBe(1);
  await originDirectory(new RegistryReader(database, clock)).find("main");
  await issuerDirectory(new RegistryReader(database, clock)).find("https://issuer.example.org");
  await d1PolicyStore(new RegistryReader(database, clock)).byDigest(client?.grants[0]?.policyDigest ?? "");
  expect(statements.length).toBeGreaterThanOrEqual(7);
  for (const sql of statements)
    expect(sql).toMatch(/^select (?!.*\b(?:insert|update|delete|replace|drop|alter|create|pragma)\b)/iu);
});

test("a client is asked for once in five seconds, and again after", async ({ expect }) => {
  const { database, roundTrips } = watched();
  const directory = clientDirectory(new RegistryReader(database, clock));
  await directory.find("telehealth");
  now += 4_999;
  await directory.find("telehealth");
  expect(roundTrips()).toBe(1);
  now += 1;
  await directory.find("telehealth");
  expect(roundTrips()).toBe(2);
});

test("while D1 is down a known client is served for ten seconds from its read and then is a fault; an unknown client is a fault at once", async ({
  expect,
}) => {
  const { database, cut } = watched();
  const directory = clientDirectory(new RegistryReader(database, clock));
  await directory.find("telehealth");
  cut(true);
  await expect(directory.find("another")).rejects.toThrow();
  now += 9_999;
  expect((await directory.find("telehealth"))?.id).toBe("telehealth");
  now += 1;
  await expect(directory.find("telehealth")).rejects.toThrow();
  cut(false);
  expect((await directory.find("telehealth"))?.id).toBe("telehealth");
});

test("a changed record is read again, and a read that began before the change is not stored", async ({
  expect,
}) => {
  const { database, roundTrips } = watched();
  const reader = new RegistryReader(database, clock);
  const [clients, origins, issuers] = [
    clientDirectory(reader),
    originDirectory(reader),
    issuerDirectory(reader),
  ];
  const readAll = async () => {
    await Promise.all([
      clients.find("telehealth"),
      clients.find("nobody"),
      origins.find("main"),
      issuers.find("https://issuer.example.org"),
    ]);
    return roundTrips();
  };
  const apply = applyRevocationDeltas(reader, { client: clients, origin: origins, issuer: issuers });
  let epoch = 0;
  const stale = (records: readonly RecordName[] | "all") => {
    epoch += 1;
    apply({
      client: "telehealth",
      standing: { epoch, bookmark: null, pending: [] },
      stale: records,
      asOf: clock(),
    });
  };
  const first = await readAll();
  expect(await readAll()).toBe(first);
  stale(["client/nobody", "origin/other"]);
  expect(await readAll(), "the client that was absent").toBe(first + 1);
  stale(["client/telehealth", "issuer/https://issuer.example.org"]);
  expect(await readAll()).toBe(first + 3);
  stale("all");
  expect(await readAll()).toBe(first + 7);

  stale(["client/telehealth"]);
  const reading = clients.find("telehealth");
  stale(["client/telehealth"]);
  await reading;
  const before = roundTrips();
  await clients.find("telehealth");
  expect(roundTrips()).toBe(before + 1);
});

test("D1 itself, in a session from the bookmark of a write, returns that write without a second read", async ({
  expect,
}) => {
  const session = registry.withSession("first-primary");
  await session.prepare("UPDATE clients SET status = 'suspended' WHERE id = 'telehealth'").run();
  const sessions: unknown[] = [];
  const database = new Proxy(registry, {
    get: (target, name) => (from: string) => {
      sessions.push([name, from]);
      return target.withSession(from);
    },
  });
  const reader = new RegistryReader(database, clock);
  const bookmark = session.getBookmark();
  reader.apply({
    client: "telehealth",
    standing: { epoch: 1, bookmark, pending: [] },
    stale: [],
    asOf: clock(),
  });
  expect((await clientDirectory(reader).find("telehealth"))?.status).toBe("suspended");
  expect(sessions).toEqual([["withSession", expect.stringMatching(/^[0-9a-f-]{59}$/u)]]);
  await registry.exec("UPDATE clients SET status = 'active' WHERE id = 'telehealth'");
});

test("a body that does not match its digest is a fault, not a policy", async ({ expect }) => {
  await registry
    .prepare("INSERT INTO policies VALUES (?, 'forged', '{\"format\":\"phylax.policy.v1\"}')")
    .bind(`sha256:${"2".repeat(64)}`)
    .run();
  await expect(
    d1PolicyStore(new RegistryReader(registry, clock)).byDigest(`sha256:${"2".repeat(64)}`),
  ).rejects.toThrow("does not match its digest");
});
