import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { auditors, disclosure, logKey, logOfEvents, writeKey, writeLog } from "./auditor-log.ts";
import { phylax } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-disclosures-"));
afterAll(() => rmSync(folder, { recursive: true }));

const amara = "main/Patient/amara";
const seen = disclosure(2, "payer", { amara: { Observation: 4 } }, { why: { purposes: ["HPAYMT"] } });
const events = [
  disclosure(3, "telehealth", { amara: { Patient: 1, Observation: 2 }, ben: { Observation: 1 } }),
  seen,
  { ...seen, step: 1 }, // the second window of the same answer
  {
    ...disclosure(4, "research", { amara: {} }),
    kind: "refusal",
    outcome: { status: 403, reason: "rule_missing" },
  },
  disclosure(5, "telehealth", { ben: { Observation: 1 } }),
];
const ledger = writeLog(join(folder, "ledger"), await logOfEvents(events.map((event) => [event])));
const key = writeKey(folder, auditors.one);
const run = (...args: readonly string[]) =>
  phylax("disclosures", amara, ledger, "--log-key", logKey, "--key", key, ...args);

test("an auditor's key lists the recipients of a patient's data by time, and a request once with all its windows", async ({
  expect,
}) => {
  const { code, out, error } = await run("--json");
  expect([code, error]).toEqual([0, ""]);
  const at = (minute: number) => new Date(Date.UTC(2026, 9, 1, 12, minute)).toISOString();
  expect(JSON.parse(out)).toEqual({
    patient: amara,
    complete: true,
    disclosures: [
      {
        at: at(2),
        recipient: "payer",
        purposes: ["HPAYMT"],
        disclosed: "Observation 8",
        request: seen.id,
      },
      {
        at: at(3),
        recipient: "telehealth",
        purposes: ["TREAT"],
        disclosed: "Patient 1, Observation 2",
        request: events[0]?.id,
      },
    ],
  });
  const text = await run();
  expect(text.out).toMatch(
    / payer {2}HPAYMT {2}Observation 8 {2}0{31}2\n.* telehealth .*\n2 disclosures\n$/su,
  );
});

test("filters choose the disclosures, and a table for a spreadsheet has a head", async ({ expect }) => {
  const csv = await run("--csv", "--client", "payer");
  const [head, row, sum] = csv.out.trim().split(/\r?\n/u);
  expect(head).toBe("time,recipient,name,user,purposes,disclosed,record");
  expect(row).toMatch(/^2026-10-01T12:02:00\.000Z,payer,,,HPAYMT,Observation 8,/u);
  expect(sum, "no sum among the rows").toBeUndefined();
  expect((await run("--purpose", "TREAT", "--to", "2026-09-30")).out).toBe("0 disclosures\n");
});

test("a key that opens nothing makes the list incomplete, and the exit code says so", async ({ expect }) => {
  const stranger = writeKey(folder, auditors.stranger, "stranger.json");
  const { code, out, error } = await phylax(
    "disclosures",
    amara,
    ledger,
    "--log-key",
    logKey,
    "--key",
    stranger,
    "--json",
  );
  expect([code, JSON.parse(out)]).toEqual([1, { patient: amara, complete: false, disclosures: [] }]);
  expect(error).not.toBe("");
});

test("a call that names no patient, two readers or none says which way to go", async ({ expect }) => {
  for (const [args, words] of [
    [["amara", ledger, "--key", key], "ORIGIN/Patient/ID"],
    [[amara, ledger], "--as CLIENT"],
    [[amara, "--key", key, "--as", "privacy-officer"], "--as CLIENT"],
    [[amara, ledger, "--key", key, "--csv", "--json"], "choose --json or --csv"],
  ] as const) {
    const { code, error } = await phylax("disclosures", ...args);
    expect([code, error]).toEqual([2, expect.stringContaining(words)]);
  }
});
