import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { type NamedEvents, withNames } from "#platform/ledger/client/definitions";
import { auditors, disclosure, logKey, logOfEvents, writeKey, writeLog } from "./auditor-log.ts";
import { phylax } from "./phylax.ts";

// The real command over an exported folder, without the ledger: records of before and of today.

const folder = mkdtempSync(join(tmpdir(), "phylax-definitions-"));
afterAll(() => rmSync(folder, { recursive: true }));

const short = ["Patient.photo", "Patient.address"];
// Seven chunks: a leaf has room for one.
const long = [...short, ...Array.from({ length: 998 }, (_, n) => `Observation.${n}`.padEnd(400, "x"))];
const view = (number: number, paths: readonly string[]) =>
  disclosure(number, "payer", { amara: { Observation: 1 } }, { withheld: { paths, resources: 1 } });
const crowd = Object.fromEntries(Array.from({ length: 700 }, (_, n) => [`p${n}`, { Observation: 1 }]));
const events = [
  view(1, short),
  view(2, short),
  view(3, long),
  disclosure(4, "payer", crowd, { withheld: { paths: short, resources: 0 } }),
  view(5, []),
];
const old = new Set(["1".padStart(32, "0")]); // recorded by the version before
const named = (append: readonly AuditEvent[]): NamedEvents =>
  append.some(({ id }) => old.has(id)) ? { events: append, definitions: new Map() } : withNames(append);

const key = writeKey(folder, auditors.one);
const ledgerOf = async (name: string, define: (append: readonly AuditEvent[]) => NamedEvents) =>
  writeLog(
    join(folder, name),
    await logOfEvents(
      events.map((event) => [event]),
      undefined,
      define,
    ),
  );
const mixed = await ledgerOf("mixed", named);
const run = (ledger: string, command: readonly string[], ...more: readonly string[]) =>
  phylax(...command, ledger, "--log-key", logKey, "--key", key, ...more);
const scope = ["--client", "payer", "--from", "2026-10-01", "--to", "2026-10-02", "--json"];
const eventsIn = (out: string): AuditEvent[] =>
  out
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line).event);

test("`ledger read` shows the withheld paths of old and new records alike, and no definition as an event", async ({
  expect,
}) => {
  const { code, error, out } = await run(mixed, ["ledger", "read"], "--json");
  expect([code, error]).toEqual([0, ""]);
  expect(eventsIn(out).map(({ withheld }) => withheld)).toEqual(events.map(({ withheld }) => withheld));
  const { out: text } = await run(mixed, ["ledger", "read"]);
  expect(text.split("\n").map((line) => /\d+ elements withheld/u.exec(line)?.[0])).toEqual([
    "2 elements withheld",
    "2 elements withheld",
    "1000 elements withheld",
    "2 elements withheld",
    undefined,
    ...(text.endsWith("\n") ? [undefined] : []),
  ]);
});

test("`breach-scope` and the export of AuditEvents have the same result as over records from before definitions", async ({
  expect,
}) => {
  const before = await ledgerOf(
    "before",
    // such a list fits no record of the version before
    (append) =>
      append.some(({ id }) => id === events[2]?.id)
        ? withNames(append)
        : { events: append, definitions: new Map() },
  );
  const affected = async (ledger: string) => {
    const { code, out } = await run(ledger, ["breach-scope"], ...scope);
    const report: { complete: boolean; affected: { patient: string; withheld: string[] }[] } =
      JSON.parse(out);
    return {
      code,
      complete: report.complete,
      affected: report.affected.map(({ patient, withheld }) => [patient, withheld]),
    };
  };
  const scoped = await affected(mixed);
  expect(scoped).toEqual(await affected(before));
  expect(scoped).toMatchObject({ code: 0, complete: true });
  expect(scoped.affected).toContainEqual(["main/Patient/p7", short.toSorted()]);

  const target = join(folder, "fhir");
  const { code } = await phylax(
    "ledger",
    "export",
    "--fhir",
    target,
    mixed,
    "--log-key",
    logKey,
    "--key",
    key,
  );
  const exported = readFileSync(join(target, "AuditEvent.ndjson"), "utf8").trim().split("\n");
  expect([code, exported.length]).toEqual([0, 4 + 700]);
  expect(exported.filter((line) => line.includes("Patient.photo Patient.address"))).toHaveLength(3 + 700);
});

test("an absent definition, and a definition that is not its digest's, are reported; the event comes without paths, so that a breach is not made smaller", async ({
  expect,
}) => {
  const absent = await ledgerOf("absent", (append) => ({
    events: withNames(append).events,
    definitions: new Map(),
  }));
  const read = await run(absent, ["ledger", "read"], "--json");
  expect(read.code).toBe(1);
  expect(read.error).toContain("leaf 2 names withheld paths that no leaf before it defines");
  expect(eventsIn(read.out)).toHaveLength(events.length);
  const report = await run(absent, ["breach-scope"], ...scope);
  expect(report.code).toBe(1);
  expect(report.error).toContain("INCOMPLETE");
  expect(JSON.parse(report.out).affected[0].withheld).toEqual([]);

  const other = withNames([view(9, ["Patient.name"])])
    .definitions.values()
    .next().value;
  const forged = await ledgerOf("forged", (append) => {
    const { events: sent, definitions } = withNames(append);
    const content = other?.content ?? new Uint8Array();
    return {
      events: sent,
      definitions: new Map([...definitions].map(([digest]) => [digest, { digest, content }])),
    };
  });
  const wrong = await run(forged, ["ledger", "read"], "--json");
  expect(wrong.code).toBe(1);
  expect(wrong.error).toContain("the definition is not what its digest names");
  expect(wrong.out).not.toContain("Patient.name");
});
