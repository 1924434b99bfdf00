import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { auditors, disclosure, logKey, logOfEvents, writeKey, writeLog } from "./auditor-log.ts";
import { phylax } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-breach-"));
afterAll(() => rmSync(folder, { recursive: true }));

const many = Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`p${n}`, { Observation: 1 }]));
const log = await logOfEvents([
  [disclosure(1, "payer", { amara: { Patient: 1 } })],
  [disclosure(2, "telehealth", { ben: { Patient: 1 } }), disclosure(3, "payer", many)],
  [disclosure(4, "payer", { late: { Patient: 1 } })],
]);
const ledger = writeLog(join(folder, "ledger"), log);
const key = writeKey(folder, auditors.one);
const scope = (...args: readonly string[]) =>
  phylax(
    "breach-scope",
    ledger,
    "--log-key",
    logKey,
    "--key",
    key,
    "--client",
    "payer",
    "--from",
    "2026-10-01",
    ...args,
  );

test("offline, from an export and a key: who is affected, by state, the clocks, and a proof of each record", async ({
  expect,
}) => {
  const { code, out, error } = await scope(
    "--to",
    "2026-10-01T12:03:30Z",
    "--discovered",
    "2026-10-05",
    "--json",
  );
  expect([code, error]).toEqual([0, ""]);
  const report = JSON.parse(out);
  expect(report).toMatchObject({
    client: "payer",
    complete: true,
    individuals: 601,
    byState: { unknown: 601 },
    askedInVain: [],
    written: [],
  });
  expect(report.clocks).toMatchObject({
    individuals: "2026-12-04",
    media: { maybe: ["unknown"] },
    secretary: { clause: "164.408(b)" },
  });
  expect(report.affected[0]).toMatchObject({
    patient: "main/Patient/amara",
    disclosed: { Patient: 1 },
    withheld: ["Patient.address"],
    records: [0],
  });
  expect(report.records.map(({ receipts }: { receipts: string[] }) => receipts.length)).toEqual([1, 2]);
  for (const receipt of report.records.flatMap(({ receipts }: { receipts: string[] }) => receipts)) {
    expect(await phylax("receipt", "check", receipt, "--log-key", logKey)).toMatchObject({ code: 0 });
  }
});

test("each individual counts in the State of the latest record of any client and time, with a proof of that record", async ({
  expect,
}) => {
  const crowd = Array.from({ length: 520 }, (_, n) => `p${n}`);
  const lives = (number: number, client: string, ids: readonly string[], state: string) => {
    const event = disclosure(number, client, Object.fromEntries(ids.map((id) => [id, { Patient: 1 }])));
    return { ...event, patients: event.patients.map(({ patient, counts }) => ({ patient, counts, state })) };
  };
  const observed = disclosure(
    30,
    "payer",
    Object.fromEntries([...crowd, "amara", "nobody"].map((id) => [id, { Observation: 1 }])),
  );
  const events = [
    [
      lives(1, "telehealth", crowd.slice(0, 501), "MA"),
      lives(2, "telehealth", [...crowd.slice(501), "amara"], "NH"),
    ],
    [observed],
    [lives(50, "clinic", ["amara"], "outside US"), lives(51, "clinic", ["not-affected"], "CA")],
  ];
  const known = writeLog(join(folder, "known"), await logOfEvents(events));
  const when = [
    "--client",
    "payer",
    "--from",
    "2026-10-01T12:30:00Z",
    "--to",
    "2026-10-01T12:30:00Z",
    "--discovered",
    "2026-10-05",
  ];
  const ask = (...args: readonly string[]) =>
    phylax("breach-scope", known, "--log-key", logKey, "--key", key, ...when, ...args);
  const { code, out } = await ask("--json");
  const report = JSON.parse(out);
  expect([code, report.byState, report.undecided]).toEqual([
    0,
    { MA: 501, NH: 19, "outside US": 1, unknown: 1 },
    1,
  ]);
  expect(report.clocks.media).toMatchObject({ states: ["MA"], maybe: [] });
  const of = (id: string) =>
    report.affected.find(({ patient }: { patient: string }) => patient === `main/Patient/${id}`);
  expect([of("nobody").state, "stateRecord" in of("nobody")]).toEqual(["unknown", false]);
  const source = report.stateRecords[of("amara").stateRecord];
  expect([of("amara").state, source.at]).toEqual(["outside US", "2026-10-01T12:50:00.000Z"]);
  expect(report.stateRecords).toHaveLength(3);
  expect(await phylax("receipt", "check", source.receipts[0], "--log-key", logKey)).toMatchObject({
    code: 0,
  });
  const lines = (await ask()).out.split("\n");
  expect(lines).toContain("by state of residence: MA 501, NH 19, outside US 1, unknown 1");
  expect(lines).toContain(
    "1 in no known State: 164.406 may count each in any State, so ask the origin where they live",
  );
  expect(lines).toContain("45 CFR 164.406: media by 2026-12-04: MA");
  const { out: read } = await phylax(
    "ledger",
    "read",
    known,
    "--log-key",
    logKey,
    "--key",
    key,
    "--patient",
    "main/Patient/not-affected",
  );
  expect(read).toContain("patients: main/Patient/not-affected of CA (Patient 1)");
});

test("for a person: a summary, the clauses and a line for each individual; purpose and origin narrow it", async ({
  expect,
}) => {
  const { code, out } = await scope("--to", "2026-10-01T12:01:59Z", "--discovered", "2026-10-05");
  expect(code).toBe(0);
  expect(out.split("\n").filter(Boolean)).toEqual([
    "payer, 2026-10-01T00:00:00.000Z to 2026-10-01T12:01:59.000Z: individuals: 1, records: 1",
    "by state of residence: unknown 1",
    "1 in no known State: 164.406 may count each in any State, so ask the origin where they live",
    "disclosed: Patient 1",
    "discovered 2026-10-05",
    "45 CFR 164.404(b): each individual without unreasonable delay, by 2026-12-04 at the latest",
    "45 CFR 164.406: media by 2026-12-04: no State is known to have more than 500 affected residents",
    "45 CFR 164.408(c): the Secretary by 2027-03-01",
    `main/Patient/amara (unknown): Patient 1; 2026-10-01T12:01:00.000Z, 1 records; policy sha256:${"a".repeat(64)}; never: Patient.address`,
  ]);
  const narrowed = async (...args: readonly string[]) =>
    JSON.parse((await scope("--to", "2026-10-02", "--json", ...args)).out).individuals;
  expect(await narrowed("--purpose", "TREAT")).toBe(602);
  expect(await narrowed("--purpose", "HPAYMT")).toBe(0);
  expect(await narrowed("--origin", "other")).toBe(0);
});

test("an unread leaf makes the report incomplete, in words and by exit code; times and client are needed", async ({
  expect,
}) => {
  const stranger = writeKey(folder, auditors.stranger, "stranger.json");
  const args = ["--log-key", logKey, "--client", "payer", "--from", "2026-10-01", "--to", "2026-10-02"];
  const { code, out, error } = await phylax("breach-scope", ledger, ...args, "--key", stranger, "--json");
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({ complete: false, individuals: 0 });
  expect(error).toContain("INCOMPLETE");
  expect(
    (await phylax("breach-scope", ledger, "--log-key", logKey, "--key", key, "--client", "payer")).code,
  ).toBe(2);
  expect((await scope("--to", "2026-10-02", "--discovered", "last week")).code).toBe(2);
});

test("a breach is scoped by a certificate too, with the people as CSV and a draft of the notice", async ({
  expect,
}) => {
  const period = ["--from", "2026-10-01", "--to", "2026-10-01T12:03:30Z", "--discovered", "2026-10-05"];
  const by = (...args: readonly string[]) =>
    phylax("breach-scope", ledger, "--log-key", logKey, "--key", key, ...period, ...args);
  const certificate = "c".repeat(43);
  const csv = await by("--certificate", certificate, "--client", "payer", "--csv");
  const rows = csv.out.split("\n").filter(Boolean);
  expect([csv.code, rows.length, rows[0]]).toEqual([
    0,
    602,
    "patient,state,first,last,disclosed,policies,never disclosed,records",
  ]);
  expect(rows[1]).toMatch(/^main\/Patient\/amara,unknown,2026-10-01T12:0/u);
  const none = await by("--certificate", "x".repeat(43), "--json");
  expect(JSON.parse(none.out)).toMatchObject({ individuals: 0, certificate: "x".repeat(43) });
  const { out } = await by("--certificate", certificate, "--letter");
  expect(out).toContain("On October 1, 2026 information about you");
  expect(out).toContain("by December 4, 2026 at the latest");
  expect(out).not.toContain("amara"); // one draft for all: it names no individual
  expect((await by()).code).toBe(2);
  expect((await by("--certificate", certificate, "--csv", "--json")).code).toBe(2);
});

test("a client that no record names ends with exit code 2: its scope is unknown, and not empty", async ({
  expect,
}) => {
  const of = (client: string) =>
    phylax(
      "breach-scope",
      ledger,
      "--log-key",
      logKey,
      "--key",
      key,
      "--client",
      client,
      "--from",
      "2020-01-01",
      "--to",
      "2020-01-02",
    );
  const { code, error } = await of("nosuch");
  expect([code, error]).toEqual([
    2,
    expect.stringContaining("no record of this ledger names the client nosuch"),
  ]);
  expect((await of("payer")).code, "a known client without a record in the period").toBe(0);
});
