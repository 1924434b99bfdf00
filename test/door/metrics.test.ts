import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import type { AuditEvent } from "#audit/event";
import { addTraffic, trafficOf } from "#audit/traffic/count";
import { instruments, isInstrument } from "#audit/traffic/instruments";
import { metricsText } from "#audit/traffic/exposition";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { breakLedger } from "../support/shards.ts";

let phylax: Door;
beforeAll(async () => {
  // the test rings the alarms
  phylax = await startDoor({ alarms: "asked" });
}, 60_000);
afterAll(() => phylax.close());

const scrape = async () => {
  const { dev } = phylax;
  return phylax.within(() => send(dev, dev.operators[0], `${dev.ops}/metrics`, {}));
};

/** The metrics that an auditor makes of the opened records; a record that was split counts once. */
async function audited(): Promise<string> {
  const events = new Map<string, AuditEvent>();
  for (const { event } of await phylax.records()) events.set(`${event.id} ${event.step ?? 0}`, event);
  const sum = new Map<string, number>();
  for (const event of events.values()) addTraffic(sum, trafficOf([event]));
  return metricsText(sum, "prometheus");
}

/** The lines of the exact instruments. */
const exactPart = (text: string): string => {
  const names = Object.keys(instruments).filter((name) => isInstrument(name) && instruments[name].isExact);
  return text
    .split("\n")
    .filter((line) => names.some((name) => line.includes(`${name}_total`)))
    .join("\n");
};

test("the metrics of reads, searches and refusals are the auditor's count, and show no patient", async () => {
  const canary = "Canaryfamily";
  await phylax.ask("payer", "Observation?patient=amara-okafor");
  await phylax.ask("payer", "Patient/amara-okafor");
  await phylax.ask("payer", `Patient?family=${canary}`);
  await phylax.ask("payer", `Patient/${canary}`);
  await phylax.ask("payer", `Patient/${canary}/$${canary}`);
  await phylax.ask("payer", `${canary}/1?${canary}=1`, { headers: { "phylax-purpose": canary } });
  const { dev } = phylax;
  await phylax.within(() =>
    send(dev, phylax.client("telehealth"), `${dev.fhir}/Patient/${canary}`, {
      headers: { authorization: `Bearer ${canary}` },
    }),
  );
  // the numbers of the isolate go with the first append after five seconds
  vi.useFakeTimers({ now: Date.now() + 6_000, toFake: ["Date"] });
  await phylax.ask("payer", "Patient/amara-okafor");
  const expected = await audited();
  vi.setSystemTime(Date.now() + 60_000);
  await phylax.ringAlarms();
  vi.useRealTimers();
  const { status, text } = await scrape();
  expect(status).toBe(200);
  // The scrape's own intent is on record, and not in the answer before the next alarm.
  expect(exactPart(text)).toBe(exactPart(expected));
  for (const wait of ["request", "added", "origin", "append", "lease"])
    expect(text).toMatch(new RegExp(`phylax_wait_seconds_count\\{wait="${wait}"\\} [1-9]`, "u"));
  expect(text).toMatch(/phylax_origin_calls_total\{origin="main",result="answered"\} [1-9]/u);
  expect(text).toMatch(/phylax_lease_calls_total\{result="granted"\} [1-9]/u);
  expect(text).toMatch(/phylax_rows_total\{way="bytes"\} [1-9]/u);
  expect(text).toMatch(
    /phylax_client_outcomes_total\{client="payer",purpose="HPAYMT",outcome="disclosed"\} [1-9]/u,
  );
  expect(text).toMatch(/phylax_refusals_total\{reason="\w+"\} [1-9]/u);
  expect(text).toMatch(/phylax_client_quota_requests_per_second\{client="payer",purpose="HPAYMT"\} [\d.]+/u);
  for (const secret of [canary, "amara", "okafor", "Observation"]) expect(text).not.toContain(secret);
});

test("the metrics have the gauges that the alerts are judged by, of each log and each part", async () => {
  await scrape(); // the first call of the door begins the watch
  await phylax.ringAlarms();
  const { text } = await scrape();
  expect(text).toMatch(/^phylax_ledger_behind_seconds\{log="s0-\d{4}h[12]"\} [\d.]+$/mu);
  expect(text).toMatch(/^phylax_ledger_logs\{state="(?:good|idle)"\} [1-9]$/mu);
  for (const part of ["ledger", "revocations", "traffic"])
    expect(text).toMatch(new RegExp(`^phylax_part_age_seconds\\{part="${part}"\\} [\\d.]+$`, "mu"));
});

test("an export that fails without a record counts as a fault", async () => {
  const start = () => phylax.ask("payer", "$export?_type=Patient", { headers: { prefer: "respond-async" } });
  phylax.inEachShard(breakLedger);
  expect((await start()).status).toBe(503);
  phylax.inEachShard("DROP TRIGGER broken");
  vi.useFakeTimers({ now: Date.now() + 70_000, toFake: ["Date"] });
  expect((await start()).status).toBe(202);
  expect((await start()).status, "its append takes the numbers: the ledger answers again").toBe(202);
  vi.setSystemTime(Date.now() + 60_000);
  await phylax.ringAlarms();
  vi.useRealTimers();
  const { text } = await scrape();
  expect(text).toMatch(/^phylax_faults_total 1$/mu);
});
