import { beforeAll, test } from "vitest";
import type { RecordName } from "#registry/revocation";
import { instant } from "#kernel/clock";
import { applyRegistry } from "#platform/registry/apply-registry";
import { authorizationServers } from "#platform/registry/authorization-servers";
import { browserPages } from "#platform/registry/browser-pages";
import { certificateHolders } from "#platform/registry/certificate-holders";
import { clientDirectory } from "#platform/registry/client-directory";
import { applyRevocationDeltas } from "#platform/registry/copies/apply-deltas";
import { issuerDirectory } from "#platform/registry/issuer-directory";
import { originDirectory } from "#platform/registry/origin-directory";
import { grantedPolicy } from "#platform/registry/policy-reading";
import { RegistryReader } from "#platform/registry/copies/registry-reader";
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
  expect(statements.length).toBeGreaterThanOrEqual(6);
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

test("after five seconds an unchanged client costs D1 a single row, and a changed one is read again", async ({
  expect,
}) => {
  const { database, statements, roundTrips } = watched();
  const directory = clientDirectory(new RegistryReader(database, clock));
  const first = await directory.find("telehealth");
  statements.length = 0;
  now += 5_000;
  expect(await directory.find("telehealth")).toBe(first);
  expect(statements.length).toBe(2);
  expect(statements.every((sql) => sql.includes("from registry_changes"))).toBe(true);
  await registry.prepare("UPDATE origins SET url = url").run();
  now += 5_000;
  expect(await directory.find("telehealth"), "a change of a different record").toBe(first);
  await registry.prepare("UPDATE clients SET status = 'suspended' WHERE id = 'telehealth'").run();
  now += 5_000;
  const before = roundTrips();
  expect((await directory.find("telehealth"))?.status).toBe("suspended");
  expect(roundTrips()).toBe(before + 2);
  await registry.prepare("UPDATE clients SET status = 'active' WHERE id = 'telehealth'").run();
});

test("each INSERT, UPDATE and DELETE in a table that the gateway has copies of is listed with the changed record", async ({
  expect,
}) => {
  const { database, statements } = watched();
  const reader = new RegistryReader(database, clock);
  await clientDirectory(reader).find("telehealth");
  await clientDirectory(reader).findExternal({ issuer: "https://issuer.example.org", id: "app" });
  await originDirectory(reader).find("main");
  await issuerDirectory(reader).find("https://issuer.example.org");
  await authorizationServers(reader).of("main");
  await browserPages(reader).has("https://app.example.org");
  await certificateHolders(reader).issuersOf("0".repeat(43));
  const asked = new Set(
    statements.flatMap((sql) => [...sql.matchAll(/\b(?:from|join) (\w+)/giu)].map(([, name = ""]) => name)),
  );
  asked.delete("registry_changes");
  expect(asked.size).toBe(8);

  const triggers = await registry
    .prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")
    .all<{ readonly sql: string }>();
  for (const table of asked)
    for (const change of ["INSERT", "UPDATE", "DELETE"])
      expect(
        triggers.results.some(
          ({ sql }) =>
            sql.includes(`AFTER ${change} ON ${table}\n`) && sql.includes("INSERT INTO registry_changes"),
        ),
        `${change} ON ${table}`,
      ).toBe(true);
});

test("the list names the record behind each row", async ({ expect }) => {
  const listed = async (...statements: readonly string[]) => {
    const newest = "SELECT max(number) AS n FROM registry_changes";
    const before = (await registry.prepare(newest).first<number>("n")) ?? 0;
    await registry.batch(statements.map((sql) => registry.prepare(sql)));
    const { results } = await registry
      .prepare("SELECT DISTINCT record FROM registry_changes WHERE number > ? ORDER BY record")
      .bind(before)
      .all<{ readonly record: string }>();
    return results.map(({ record }) => record);
  };
  const insert = `INSERT INTO agreements (id, client, begins, ends, document_hash)
    SELECT 'listed', client, begins, ends, document_hash FROM agreements WHERE client = 'telehealth' LIMIT 1`;
  expect(await listed(insert)).toEqual(["client/telehealth"]);
  expect(
    await listed("INSERT INTO agreement_purposes (agreement, purpose) VALUES ('listed', 'TREAT')"),
  ).toEqual(["client/telehealth"]);
  expect(await listed("DELETE FROM agreement_purposes WHERE agreement = 'listed'")).toEqual([
    "client/telehealth",
  ]);
  expect(await listed("DELETE FROM agreements WHERE id = 'listed'")).toEqual(["client/telehealth"]);
  expect(await listed("UPDATE grants SET revision = revision + 1 WHERE client = 'telehealth'")).toEqual([
    "client/telehealth",
  ]);
  expect(await listed("UPDATE origins SET url = url WHERE name = 'main'")).toEqual(["origin/main"]);
  expect(await listed("UPDATE issuers SET algs = algs")).toEqual(
    (
      await registry.prepare("SELECT iss FROM issuers ORDER BY iss").all<{ readonly iss: string }>()
    ).results.map(({ iss }) => `issuer/${iss}`),
  );
  await registry.exec(
    "INSERT INTO registry_changes (record) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4200) SELECT '' FROM n",
  );
  expect(await registry.prepare("SELECT count(*) AS n FROM registry_changes").first("n")).toBe(4_096);
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
  await expect(grantedPolicy(registry, `sha256:${"2".repeat(64)}`)).rejects.toThrow(
    "does not match its digest",
  );
});
