import { test } from "vitest";
import { subjectKey } from "#audit/accounting";
import type { FoundLine } from "#audit/disclosures";
import { Secret } from "#kernel/secret";
import { toCbor } from "#ledger/cbor";
import { accountingConfig } from "#platform/accounting-config";
import { readInteraction } from "#fhir/interaction";
import { accountingCsv } from "../../src/gateway/accounting-csv.ts";
import { accountingPage } from "../../src/gateway/accounting-html.ts";
import { tellAccounting } from "../../src/gateway/accounting-told.ts";

const at = Date.UTC(2026, 10, 24, 12);
const line = (recipient: string, purpose: string): FoundLine => ({
  patient: "main/Patient/1",
  log: "s0-2026h2",
  index: 5,
  line: 0,
  lines: 1,
  content: toCbor([1, subjectKey(new Secret(new Uint8Array(32)), "main/Patient/1"), at, recipient, [purpose], "a-1", { Observation: 2 }]),
  salt: new Uint8Array(32),
  path: [],
  proven: undefined,
});
const nothing = accountingConfig("");
const period = { from: "2020-11-24", to: "2026-11-24" };
const hostile = '=HYPERLINK("https://x","<script>alert(1)</script>")';

test("a recipient's name is text on the page, and in a spreadsheet", ({ expect }) => {
  const facts = accountingConfig(JSON.stringify({ recipients: { r: { name: hostile, address: '"><img src=x>' } } }));
  const accounting = tellAccounting([line("r", "PUBHLTH")], facts, { ...period, all: false });
  const page = accountingPage(accounting);
  expect(page).not.toMatch(/<script|<img/u);
  expect(page).toContain("&lt;script&gt;");
  expect(accountingCsv(accounting).split("\r\n")[1]).toContain(`,"'=HYPERLINK(""https://x"",""<script>`);
});

test("what the law does not ask for is left out unless all is asked for, and then says by which clause", ({ expect }) => {
  const lines = [line("a", "TREAT"), line("b", "PUBHLTH")];
  const told = (all: boolean) =>
    tellAccounting(lines, nothing, { ...period, all }).lines.map(({ recipient, standing }) => [recipient.id, standing]);
  expect(told(false)).toEqual([["b", { required: true }]]);
  expect(told(true)).toEqual([
    ["a", { required: false, clause: "i" }],
    ["b", { required: true }],
  ]);
});

test("protocols of fifty and more are told as 164.528(b)(4) words them, when their period meets the accounting's", ({ expect }) => {
  const protocol = {
    name: "Heart 7",
    description: "Whether walking helps after a stroke; records of strokes were selected.",
    information: "diagnoses and laboratory results",
    from: "2025-01-01",
    to: "2025-06-30",
    sponsor: "Northern University, 2 Campus Road, +1 555 0100",
    researcher: "V. Lindqvist, 2 Campus Road, +1 555 0101",
    individuals: 50,
  };
  const facts = accountingConfig(JSON.stringify({ protocols: [protocol] }));
  const words = (from: string, to: string) => tellAccounting([], facts, { from, to, all: false }).words.join(" ");
  expect(words("2025-06-30", "2026-01-01")).toContain("Research protocol Heart 7");
  expect(words("2025-06-30", "2026-01-01")).toContain("may or may not have been disclosed for this protocol");
  expect(words("2025-07-01", "2026-01-01")).not.toContain("Heart 7");
  expect(() => accountingConfig(JSON.stringify({ protocols: [{ ...protocol, individuals: 49 }] }))).toThrow(/^ACCOUNTING: expected/u);
});

test("a configuration that is none names its key and never its value", ({ expect }) => {
  for (const text of ["{", '{"agreements":{"x":"x"}}', '{"recipients":{"x":{"phone":"1"}}}', '{"other":1}', "[]"])
    expect(() => accountingConfig(text), text).toThrow("ACCOUNTING: expected JSON as docs/accounting.md describes it");
});

test("what an accounting may be asked for, and by which method", ({ expect }) => {
  const read = (query: string, method = "GET", path = ["Patient", "1", "$disclosures"]) => readInteraction(method, path, query);
  expect(read("")).toEqual({
    ok: true,
    value: { kind: "disclosures", type: "Patient", id: "1", start: undefined, end: undefined, all: false, format: "json" },
  });
  expect(read("start=2026-01-01&end=2026-01-31&all=true&_format=text/csv")).toMatchObject({
    ok: true,
    value: { start: "2026-01-01", end: "2026-01-31", all: true, format: "csv" },
  });
  expect(read("_format=application/fhir%2Bjson")).toMatchObject({ ok: true, value: { format: "json" } });
  for (const query of ["_format=xml", "_format=__proto__", "start=2026-1-1", "start=2026-02-31", "end=x", "all=1", "x=1", "_summary=true"])
    expect(read(query).ok, query).toBe(false);
  expect(read("", "POST")).toMatchObject({ ok: false, error: { reason: "unsupported_method" } });
  for (const path of [["Patient", "$disclosures"], ["Observation", "1", "$disclosures"], ["$disclosures"]])
    expect(read("", "GET", path)).toMatchObject({ ok: false, error: { reason: "interaction_not_carried" } });
});
