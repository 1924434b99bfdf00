import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { auditors, disclosure, logKey, logOfEvents, writeKey, writeLog } from "./auditor-log.ts";
import { phylax } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-renamed-"));
afterAll(() => rmSync(folder, { recursive: true }));

const refused = (number: number, reason: string) => ({
  ...disclosure(number, "payer", {}),
  kind: "refusal",
  outcome: { status: 403, reason },
  withheld: undefined,
});
const tally = {
  ...disclosure(3, "payer", {}),
  kind: "refusals",
  outcome: undefined,
  withheld: undefined,
  tally: { proof_nonce_old: 7 },
};
const brokenOff = {
  ...disclosure(4, "payer", { amara: { Observation: 1 } }),
  outcome: { status: 200, reason: "client_gone" },
};
const events = [refused(1, "no_rule"), refused(2, "rule_missing"), tally, brokenOff];
const ledger = writeLog(join(folder, "ledger"), await logOfEvents(events.map((event) => [event])));
const asAuditor = ["--log-key", logKey, "--key", writeKey(folder, auditors.one)];

async function read(...args: readonly string[]) {
  const { code, out } = await phylax("ledger", "read", ledger, ...asAuditor, "--json", ...args);
  const lines: { event: { outcome?: { reason: string }; tally?: object; id: string } }[] = out
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { code, events: lines.map(({ event }) => event) };
}

test("ledger read shows the new code of a record with the old code, in an outcome and in a tally", async ({
  expect,
}) => {
  const { code, events } = await read();
  expect(code).toBe(0);
  expect(events.map(({ outcome }) => outcome?.reason)).toEqual([
    "rule_missing",
    "rule_missing",
    undefined,
    "client_disconnected",
  ]);
  expect(events[2]?.tally).toEqual({ proof_nonce_expired: 7 });
  const { out } = await phylax("ledger", "read", ledger, ...asAuditor);
  expect(out).not.toMatch(/no_rule|client_gone/u);
});

test("a reason that this version does not have is named, because a misspelt reason finds nothing", async ({
  expect,
}) => {
  for (const [reason, error] of [
    ["rule_mising", "--reason rule_mising is no reason of this version: docs/refusals.md has the reasons\n"],
    ["rule_missing", ""],
    ["no_rule", ""],
    ["client_disconnected", ""],
  ] as const) {
    const asked = await phylax("ledger", "read", ledger, ...asAuditor, "--reason", reason);
    expect([asked.code, asked.error], reason).toEqual([0, error]);
  }
});

test("--reason takes the old and the new code, and finds records and tallies of both", async ({ expect }) => {
  for (const reason of ["no_rule", "rule_missing"])
    expect((await read("--reason", reason)).events.map(({ id }) => Number.parseInt(id, 16))).toEqual([1, 2]);
  for (const reason of ["proof_nonce_old", "proof_nonce_expired"])
    expect((await read("--reason", reason)).events.map(({ id }) => Number.parseInt(id, 16))).toEqual([3]);
  expect((await read("--reason", "token_missing")).events).toEqual([]);
});

test("AuditEvents of FHIR and the scope of a breach are made of the new codes", async ({ expect }) => {
  const to = join(folder, "fhir");
  expect((await phylax("ledger", "export", "--fhir", to, ledger, ...asAuditor)).code).toBe(0);
  const resources = readFileSync(join(to, "AuditEvent.ndjson"), "utf8");
  expect(resources).toContain("HTTP 403, rule_missing");
  expect(resources).not.toMatch(/no_rule|client_gone/u);
  const during = ["--client", "payer", "--from", "2026-10-01", "--to", "2026-10-02", "--json"];
  const scope = await phylax("breach-scope", ledger, ...asAuditor, ...during);
  expect(scope.code).toBe(0);
  expect(scope.out).toContain("amara");
});
