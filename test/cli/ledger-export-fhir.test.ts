import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { validateResource } from "#fhir/validate/validate";
import { auditors, disclosure, logKey, logOfEvents, writeKey, writeLog } from "./auditor-log.ts";
import { phylax } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-fhir-"));
afterAll(() => rmSync(folder, { recursive: true }));

const events = [
  disclosure(1, "telehealth", { amara: { Observation: 2 }, ben: { Observation: 1 } }),
  { ...disclosure(2, "payer", {}), kind: "refusal", outcome: { status: 403, reason: "rule_missing" } },
];
const ledger = writeLog(join(folder, "ledger"), await logOfEvents(events.map((event) => [event])));
const key = writeKey(folder, auditors.one);
const exportTo = (to: string, ...args: readonly string[]) =>
  phylax("ledger", "export", "--fhir", to, ledger, "--log-key", logKey, ...args);

test("each event is a line for each patient, valid R4, in a file of its own that only its owner reads", async ({
  expect,
}) => {
  const to = join(folder, "out");
  const { code, out, error } = await exportTo(to, "--key", key, "--server", "https://gateway.test");
  expect([code, error]).toEqual([0, ""]);
  const file = join(to, "AuditEvent.ndjson");
  expect(out).toBe(`${file}: 3 AuditEvents\n`);
  const resources = readFileSync(file, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  expect(resources.map((resource) => validateResource(resource))).toEqual([[], [], []]);
  expect(resources.map(({ outcome }) => outcome)).toEqual(["0", "0", "4"]);
  expect(resources[2].entity.at(-1).what.identifier).toEqual({
    system: "https://ledger.test/s0-2026h2",
    value: "4",
  });
  expect(statSync(file).mode & 0o077).toBe(0);
  expect((await exportTo(to, "--key", key)).code, "the file is there already").toBe(2);
});

test("unopened leaves are reported, and the exit code is 1; the filters of `read` apply here too", async ({
  expect,
}) => {
  const stranger = await exportTo(
    join(folder, "none"),
    "--key",
    writeKey(folder, auditors.stranger, "stranger.json"),
  );
  expect(stranger.code).toBe(1);
  expect(stranger.error).toContain("leaves of s0-2026h2 could not be opened");
  const some = await exportTo(join(folder, "some"), "--key", key, "--patient", "main/Patient/ben");
  expect(some).toMatchObject({ code: 0, out: expect.stringContaining(": 2 AuditEvents") });
});
