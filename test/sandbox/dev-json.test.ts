import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, vi } from "vitest";
import { parseVerifierKey } from "#ledger/tlog/signed-note";
import { keepDevFile } from "../../sandbox/dev-json.ts";

test("dev.json also lists the logs of ended half-years, after a switch and after a restart: their receipts can still be checked", async ({
  expect,
}) => {
  const state = mkdtempSync(join(tmpdir(), "phylax-dev-json-"));
  const checkpointKey = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const ledger = { ledgerName: "ledger.test", shards: 2, checkpointKey: checkpointKey as { kty: string } };
  const logsIn = () =>
    (JSON.parse(readFileSync(join(state, "dev.json"), "utf8")) as { logs: Record<string, string> }).logs;
  vi.useFakeTimers({ now: Date.UTC(2026, 11, 31) });
  try {
    const first = keepDevFile(state, { gateway: "https://localhost" }, ledger);
    expect(Object.keys(logsIn())).toEqual(["s0-2026h2", "s1-2026h2"]);
    vi.setSystemTime(Date.UTC(2027, 0, 2));
    vi.advanceTimersByTime(30_000);
    const both = ["s0-2026h2", "s1-2026h2", "s0-2027h1", "s1-2027h1"];
    expect(Object.keys(logsIn())).toEqual(both);
    await first.close();
    const second = keepDevFile(state, {}, ledger);
    expect(Object.keys(logsIn())).toEqual(both);
    for (const [log, key] of Object.entries(logsIn()))
      expect(parseVerifierKey(key)).toMatchObject({ ok: true, value: { name: `ledger.test/${log}` } });
    await second.close();
    // the public keys stay for checks offline, and nothing secret with them
    expect(existsSync(join(state, "dev.json"))).toBe(false);
    const left: unknown = JSON.parse(readFileSync(join(state, "keys.json"), "utf8"));
    expect(left).toMatchObject({ logs: Object.fromEntries(both.map((log) => [log, expect.anything()])) });
    expect(readFileSync(join(state, "keys.json"), "utf8")).not.toContain(String(checkpointKey.d));
  } finally {
    vi.useRealTimers();
  }
});
