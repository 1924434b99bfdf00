import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { calculateJwkThumbprint, type JWK } from "jose";
import { afterAll, test } from "vitest";
import type { AuditEvent, Configuration } from "#audit/event";
import { configurationLogs } from "#platform/ledger/client/sink";
import { instant } from "#kernel/clock";
import { layoutWithoutRegions } from "#ledger/layout";
import { operatorOf } from "../../cli/connection/dev-file.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { phylaxIn } from "../cli/phylax.ts";
import { lane } from "../support/lane.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const home = mkdtempSync(join(tmpdir(), "phylax-configuration-"));
const state = join(home, ".phylax");
afterAll(() => rmSync(home, { recursive: true, force: true }));
const secret = (name: string): string => readFileSync(join(state, "secrets", name), "utf8").trim();
const keyOf = (path: string): JWK => JSON.parse(readFileSync(join(state, path), "utf8"));

/** The configurations as an auditor finds them, in the order of their records. */
async function configurations(worker: string): Promise<Configuration[]> {
  const key = join(state, "auditors/auditor-1.jwk.json");
  const { code, out, error } = await phylaxIn(
    home,
    "ledger",
    "read",
    "--kind",
    "configuration",
    "--key",
    key,
    "--json",
  );
  if (code !== 0) throw new Error(error);
  const events = out
    .split("\n")
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { event: AuditEvent }).event);
  return events.flatMap(({ configuration }) => (configuration?.worker === worker ? [configuration] : []));
}
const settingsOf = (one: Configuration | undefined): ReadonlyMap<string, string> => new Map(one?.settings);
const told = (one: Configuration | undefined, name: string): unknown =>
  JSON.parse(settingsOf(one).get(name) ?? "null");

/** A request at each entrypoint. A refusal is on record too, and only under a recorded configuration. */
const knock = async (phylax: TestStack): Promise<number[]> => {
  const { dev } = phylax;
  const [app, registrar] = [phylax.client("patient-app"), operatorOf(dev, "registrar")];
  const replies = [
    await phylax.ask("patient-app", `Patient/${app.patient}`),
    await send(dev, registrar, `${dev.ops}/api/registry`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    }),
  ];
  return replies.map(({ status }) => status);
};
/** Runs SQL in both logs that take configurations. */
async function inBoth(phylax: TestStack, ...sql: readonly string[]): Promise<void> {
  for (const name of configurationLogs(
    layoutWithoutRegions(Object.keys(phylax.dev.logs).length),
    instant(Date.now()),
  )) {
    const storage = await phylax.stack.runtime.miniflare.unsafeGetDurableObjectStorage(
      "phylax-ledger",
      "LedgerShard",
      { name },
    );
    for (const one of [table, ...sql]) await storage.exec(one);
  }
}
const table =
  // a log that took no configuration has no such table
  "CREATE TABLE IF NOT EXISTS configurations (worker TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (worker, digest)) STRICT";

test.skipIf(lane === "fast")(
  "each worker that reaches the ledger has its configuration on record; a changed key shows by its fingerprint, and no secret is on record (slow lane)",
  {
    timeout: 180_000,
  },
  async ({ expect }) => {
    const first = await startTestStack({ state });
    expect(await knock(first)).toEqual([200, 200]);
    expect(await knock(first)).toEqual([200, 200]);
    const before = keyOf("secrets/token-signing.jwk.json");
    const [[gateway, ...more], [ops], [ledger]] = [
      await configurations("gateway"),
      await configurations("ops"),
      await configurations("ledger"),
    ];
    expect(more, "an isolate that goes on records nothing more").toEqual([]);
    expect(settingsOf(gateway).get("PUBLIC_URL")).toBe(first.dev.gateway);
    expect(told(gateway, "TOKEN_SIGNING_KEY")).toMatchObject({
      kid: before.kid,
      jkt: await calculateJwkThumbprint(before),
    });
    expect(settingsOf(ops).get("OPS_URL")).toBe(first.dev.ops);
    const auditor = keyOf("auditors/auditor-1.jwk.json");
    expect(told(ledger, "AUDITOR_KEYS")).toMatchObject({
      keys: [{ kid: auditor.kid, jkt: await calculateJwkThumbprint(auditor) }, {}],
    });
    for (const name of ["CHECKPOINT_KEY", "ACCOUNTING_KEY", "SUBJECT_KEY", "WITNESSES"])
      expect(settingsOf(ledger).has(name), name).toBe(true);
    const everything = JSON.stringify([gateway, ops, ledger]);
    for (const name of ["paging", "dpop-nonce", "ops-nonce", "accounting", "subject"])
      expect(everything, name).not.toContain(secret(name));
    for (const name of ["token-signing", "response-signing", "checkpoint"])
      expect(everything, name).not.toContain(keyOf(`secrets/${name}.jwk.json`)["d"]);
    await first.close();

    rmSync(join(state, "secrets/token-signing.jwk.json")); // the next start makes a new key
    const second = await startTestStack({ state });
    try {
      // Isolates of these two workers start with a configuration that this log and the second log cannot
      // record. They can record everything more.
      await inBoth(
        second,
        "DELETE FROM configurations WHERE worker <> 'ledger'",
        "CREATE TRIGGER broken BEFORE INSERT ON configurations WHEN NEW.worker <> 'ledger' BEGIN SELECT RAISE(ABORT, 'broken by the test'); END",
      );
      const spread = await Promise.all(
        Array.from({ length: 12 }, () =>
          second.ask("patient-app", `Patient/${second.client("patient-app").patient}`),
        ),
      );
      for (const { status, text, headers } of spread) {
        expect(status).toBe(503);
        expect(JSON.parse(text)).toMatchObject({
          resourceType: "OperationOutcome",
          issue: [{ code: "transient" }],
        });
        expect(headers).not.toHaveProperty("phylax-receipt");
      }
      await expect(second.token("telehealth")).rejects.toThrow(/no token/u);
      expect(await knock(second)).toEqual([503, 503]);
      await inBoth(second, "DROP TRIGGER broken");

      expect(await knock(second)).toEqual([200, 200]);
      const after = keyOf("secrets/token-signing.jwk.json");
      const later = (await configurations("gateway")).at(-1);
      expect(told(later, "TOKEN_SIGNING_KEY")).toMatchObject({ jkt: await calculateJwkThumbprint(after) });
      expect(told(later, "TOKEN_SIGNING_KEY")).not.toEqual(told(gateway, "TOKEN_SIGNING_KEY"));
      for (const name of ["PAGING_KEY", "RESPONSE_SIGNING_KEY", "ACCOUNTING"])
        expect(settingsOf(later).get(name), name).toBe(settingsOf(gateway).get(name));
    } finally {
      await second.close();
    }
  },
);
