import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { accountingLines, readLine } from "#audit/accounting";
import type { FoundLine } from "#audit/disclosures";
import { accountingBundle } from "#gateway/accounting-fhir";
import { accountingCsv } from "#gateway/accounting-csv";
import { accountingPage } from "#gateway/accounting-html";
import { type Accounting, tellAccounting } from "#gateway/accounting-told";
import { fromUtf8, utf8 } from "#ledger/bytes";
import { inclusionNote } from "#ledger/inclusion-note";
import { encodeLeaf, leafKinds } from "#ledger/leaf";
import { lineSalt, linesRoot } from "#ledger/lines";
import { verifierKey } from "#ledger/signed-note";
import { config, logOfFrames } from "../ledger/sample-log.ts";
import { disclosure, logKey } from "./auditor-log.ts";
import { phylax } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-accounting-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A line of the sample log, with its proof. */
function lineOf(recipient: string, counts: Readonly<Record<string, number>>): FoundLine {
  const event = disclosure(1, recipient, { amara: counts }, { why: { purposes: ["PUBHLTH"] } });
  const [seed, contents] = [new Uint8Array(32).fill(7), accountingLines(event, config.subjectKey)];
  const header = { kind: leafKinds.sealed, keyEpoch: 1, counter: 1, linesRoot: linesRoot(seed, contents) };
  const leaf = encodeLeaf({ ...header, body: new Uint8Array(272) });
  const note = inclusionNote(0, [], fromUtf8(logOfFrames([[leaf]]).objects.get("checkpoint") ?? new Uint8Array()) ?? "");
  const place = { patient: "main/Patient/amara", log: "s0-2026h2", index: 0, line: 0, lines: 1 };
  return { ...place, content: contents[0] ?? new Uint8Array(), salt: lineSalt(seed, 0), path: [], proven: { leaf, note: utf8(note) } };
}

const found = lineOf("public-health", { Patient: 1 });
const facts = { recipients: { "public-health": { name: "Department, of\nHealth" } }, agreements: {}, protocols: [] };
const told = (lines: readonly FoundLine[]) =>
  tellAccounting(lines, facts, { patient: "Patient/amara", isWhole: true, from: "2020-11-26", to: "2026-11-26", all: true });
const place = { self: "https://gateway.test/x", site: "main", requestId: "0" };
const forms: readonly (readonly [string, (accounting: Accounting) => string])[] = [
  ["FHIR", (accounting) => JSON.stringify(accountingBundle(accounting, place))],
  ["CSV", accountingCsv],
  ["the page", accountingPage],
  ["CSV that a spreadsheet saved again", (accounting) => `\uFEFF${accountingCsv(accounting).replaceAll("\r\n", "\n")}`],
];

async function check(text: string, ...keys: readonly string[]) {
  const file = join(folder, "saved");
  writeFileSync(file, text);
  return phylax("accounting", "check", file, ...(keys.length > 0 ? keys : ["--key", logKey]));
}

test.for(forms)("%s: each line is proven, and one that shows more or less than it proves is named", async ([, written], { expect }) => {
  const text = written(told([found]));
  const good = await check(text);
  expect([good.code, good.error]).toEqual([0, ""]);
  expect(good.out).toMatch(/^s0-2026h2\/0\/0: good: .*, to public-health, for PUBHLTH, Patient 1\n1 of 1 lines are proven/u);
  for (const [from, to] of [
    ["Patient 1", "Patient 1; Condition 4"],
    ["Patient 1", "Patient 11"],
    ["PUBHLTH", "TREAT"],
    ["public-health", "public-health-2"],
    ["2026-10-01T12:01:00", "2026-10-02T12:01:00"],
  ] as const) {
    const shown = await check(text.replaceAll(from, to));
    expect(shown, `${from} as ${to}`).toMatchObject({
      code: 1,
      out: expect.stringContaining("WRONG: shows something else than it proves"),
    });
  }
  const none = await check(written(told([])));
  expect([none.code, none.out]).toEqual([0, "0 of 0 lines are proven; no proof shows that none is missing\n"]);
});

test("what is no accounting is misuse, and not an accounting without a wrong line", async ({ expect }) => {
  for (const text of [
    "",
    "# Phylax\n",
    "{}",
    '{"type":"searchset","entry":5}',
    "{",
    "time,recipient\r\n",
    "<!doctype html><tr><td>x</tr>",
    "[".repeat(99_999),
  ])
    expect(await check(text), text.slice(0, 20)).toMatchObject({
      code: 2,
      out: "",
      error: expect.stringContaining("is no accounting of disclosures"),
    });
  expect(await phylax("accounting", "check", join(folder, "nowhere"), "--key", logKey)).toMatchObject({ code: 2, out: "" });
  expect(
    (await check('{"type":"searchset","entry":[null,{"resource":null},{"resource":{"resourceType":"AuditEvent","entity":[3]}}]}')).code,
  ).toBe(1);
});

test("the root log's key is every log's, and a line of another ledger is not proven", async ({ expect }) => {
  const text = accountingCsv(told([found]));
  const root = verifierKey("ledger.test/root", config.checkpointPublicKey);
  expect((await check(text, "--key", root)).code).toBe(0);
  const stranger = await check(text, "--key", verifierKey("ledger.test/s1-2026h2", config.checkpointPublicKey));
  expect(stranger).toMatchObject({ code: 1, out: expect.stringContaining("WRONG: there is no key of its log here") });
});

test("what a file from elsewhere says reaches the terminal as text alone", async ({ expect }) => {
  const forged = JSON.stringify({
    log: "s0\u001b[2J\u202E\n1 of 1 lines are proven",
    index: 0,
    line: 0,
    lines: 1,
    content: "",
    salt: "",
    path: [],
    leaf: "",
    note: "",
  });
  const { code, out } = await check(`time,disclosed,proof\r\nx,y,${Buffer.from(forged).toString("base64")}\r\n`);
  expect(code).toBe(1);
  expect(out.split("\n")[0]).toBe("s0\\u001b[2J\\u202e\\u000a1 of 1 lines are proven/0/0: WRONG: there is no key of its log here");
  expect(readLine(found.content)?.recipient).toBe("public-health");
});
