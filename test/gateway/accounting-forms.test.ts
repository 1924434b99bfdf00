import { test } from "vitest";
import { subjectKey } from "#audit/accounting/line";
import type { FoundLine } from "#audit/accounting/disclosures";
import { Secret } from "#kernel/secret";
import { toCbor } from "#ledger/bytes/cbor";
import { accountingConfig } from "#platform/config/accounting-config";
import { readInteraction } from "#fhir/interaction";
import { purposeOfUse } from "#fhir/r4/purpose-of-use.gen";
import { accountingBundle } from "../../src/audit/accounting/fhir.ts";
import { purposeInWords } from "../../src/audit/accounting/purpose-words.ts";
import { accountingCsv } from "../../src/audit/accounting/csv.ts";
import { english } from "#audit/accounting/page/english";
import { accountingPage, type PageFacts } from "#audit/accounting/page/html";
import { type Accounting, composeAccounting } from "#audit/accounting/compose";

const at = Date.UTC(2026, 10, 24, 12);
const line = (recipient: string, purpose: string): FoundLine => ({
  patient: "main/Patient/1",
  log: "s0-2026h2",
  index: 5,
  line: 0,
  lines: 1,
  content: toCbor([
    1,
    subjectKey(new Secret(new Uint8Array(32)), "main/Patient/1"),
    at,
    recipient,
    [purpose],
    "a-1",
    { Observation: 2 },
  ]),
  salt: new Uint8Array(32),
  path: [],
  proven: undefined,
});
const nothing = accountingConfig("");
const period = {
  patient: "Patient/1",
  isWhole: true,
  from: "2020-11-24",
  to: "2026-11-24",
  summed: false,
  isFirst: true,
  next: undefined,
};
const pageFacts: PageFacts = { person: undefined, maker: undefined, ledger: undefined, at, zone: "UTC" };
const pageOf = (accounting: Accounting, facts: Partial<PageFacts> = {}) =>
  accountingPage(accounting, { ...pageFacts, ...facts }, english);
const hostile = '=HYPERLINK("https://x","<script>alert(1)</script>")';

test("a recipient's name is text on the page, and in a spreadsheet", ({ expect }) => {
  const facts = accountingConfig(
    JSON.stringify({ recipients: { r: { name: hostile, address: '"><img src=x>' } } }),
  );
  const accounting = composeAccounting([line("r", "PUBHLTH")], facts, { ...period, all: false });
  const page = pageOf(accounting);
  expect(page).not.toMatch(/<script|<img/u);
  expect(page).toContain("&lt;script&gt;");
  expect(accountingCsv(accounting).split("\r\n")[1]).toContain(`,"'=HYPERLINK(""https://x"",""<script>`);
});

test("no cell of the table begins like a formula, in whatever way a spreadsheet reads one", ({ expect }) => {
  for (const name of [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uFF1D1+1",
    "\uFF0B1",
    "\uFF0D1",
    "\uFF201",
    " =1",
    "\u00A0=1",
    "\uFEFF\u200B=1",
    "\u000B@1",
  ]) {
    const facts = accountingConfig(JSON.stringify({ recipients: { r: { name } } }));
    const csv = accountingCsv(composeAccounting([line("r", "PUBHLTH")], facts, { ...period, all: false }));
    expect(csv.includes(`,'${name},`) || csv.includes(`,"'${name}",`), JSON.stringify(name)).toBe(true);
  }
});

test("a line says whether the law asks for it, and by which clause it does not", ({ expect }) => {
  const { lines } = composeAccounting([line("a", "TREAT"), line("b", "PUBHLTH")], nothing, {
    ...period,
    all: true,
  });
  expect(lines.map(({ recipient, standing }) => [recipient.id, standing])).toEqual([
    ["a", { required: false, clause: "i" }],
    ["b", { required: true }],
  ]);
});

test("protocols of fifty and more are told as 164.528(b)(4) words them, when their period meets the accounting's", ({
  expect,
}) => {
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
  const words = (from: string, to: string) =>
    composeAccounting([], facts, { ...period, from, to, all: false }).words.join(" ");
  expect(words("2025-06-30", "2026-01-01")).toContain("Research protocol Heart 7");
  expect(words("2025-06-30", "2026-01-01")).toContain("may or may not have been disclosed for this protocol");
  expect(words("2025-07-01", "2026-01-01")).not.toContain("Heart 7");
  expect(() => accountingConfig(JSON.stringify({ protocols: [{ ...protocol, individuals: 49 }] }))).toThrow(
    /^ACCOUNTING: expected/u,
  );
});

const lineOf = (patient: string, heldUntil?: number): FoundLine => ({
  ...line("r", "PUBHLTH"),
  patient: `main/${patient}`,
  heldUntil,
});
const formsOf = (lines: readonly FoundLine[]): readonly string[] => {
  const accounting = composeAccounting(lines, nothing, { ...period, all: true });
  const place = { self: "https://gateway.test/x", site: "main", requestId: "0" };
  return [accountingCsv(accounting), pageOf(accounting), JSON.stringify(accountingBundle(accounting, place))];
};

test("an officer sees in each form until when a line is not to be told; an individual's says nothing of such a thing", ({
  expect,
}) => {
  const held = formsOf([lineOf("Patient/1", Date.UTC(2026, 11, 1)), lineOf("Patient/1")]);
  for (const form of held) {
    expect(form.match(/2026-12-01T00:00:00.000Z|until December 1, 2026, 12:00 am/gu)).toHaveLength(1);
    expect(form).toMatch(/(?:Add |version for the individual \()for=individual/u);
  }
  for (const form of formsOf([lineOf("Patient/1")])) expect(form).not.toMatch(/suspen|individual is|held/u);
});

test("each form names the individual, and for two records the record of each line", ({ expect }) => {
  for (const form of formsOf([lineOf("Patient/1"), lineOf("Patient/old")])) {
    expect(form).toMatch(
      /Disclosures of Patient\/1 and Patient\/old from 2020-11-24 to 2026-11-24\.|<dd>Patient\/1, Patient\/old<\/dd>/u,
    );
    expect(form.match(/Patient\/old/gu)).toHaveLength(2);
  }
  for (const form of formsOf([]))
    expect(form).toMatch(/Disclosures of Patient\/1 from|<dd>Patient\/1<\/dd>/u);
});

test("the page says whose it is, who made it, and writes times as clocks in the reader's zone show them", ({
  expect,
}) => {
  const accounting = composeAccounting([line("r", "PUBHLTH")], nothing, { ...period, all: true });
  const page = pageOf(accounting, {
    person: { name: "Amara <Okafor>", birthDate: "1984-03-12" },
    maker: { name: "Springfield General", contact: "+1 555 0100" },
    zone: "America/New_York",
  });
  expect(page).toContain("<dd>Amara &lt;Okafor&gt;, born March 12, 1984</dd>");
  expect(page).toContain("<dd>Springfield General, +1 555 0100</dd>");
  expect(page).toContain("<dd>November 24, 2026, 7:00 am, New York time</dd>");
  expect(page).toContain('<time datetime="2026-11-24T12:00:00.000Z">November 24, 2026, 7:00 am</time>');
  expect(pageOf(accounting, { person: { name: undefined, birthDate: "1984" } })).toContain(
    "<dd>born 1984</dd>",
  );
  expect(pageOf(accounting)).toContain("this page may not show a name");
});

test("each form says when not every link was followed", ({ expect }) => {
  const { words } = composeAccounting([], nothing, { ...period, isWhole: false, all: true });
  expect(words.join(" ")).toContain("disclosures of another record of the same person may be missing here");
});

test("a page's table has a caption, and a header for each of its rows and columns", ({ expect }) => {
  const [, page = ""] = formsOf([lineOf("Patient/1"), lineOf("Patient/old")]);
  expect(page.match(/<caption>/gu)).toHaveLength(1);
  expect(page.match(/<th scope="col" /gu)).toHaveLength(6);
  expect(
    page.match(
      /<tr role="row"><th scope="row" .*?<\/th>(?:<td role="cell" data-head="[^"]+">.*?<\/td>){5}<\/tr>/gu,
    ),
  ).toHaveLength(2);
});

test("a purpose is shown in words, or in the words of its parent code", ({ expect }) => {
  expect(["HLEGAL", "CLINTRCHNPC", "ELIGVER", "DONAT", "NEWCODE", "constructor"].map(purposeInWords)).toEqual(
    [
      "legal proceedings (HLEGAL)",
      "clinical trial (CLINTRCHNPC)",
      "payment (ELIGVER)",
      "donation of organs, eyes or tissue (DONAT)",
      "NEWCODE",
      "constructor",
    ],
  );
  for (const code of Object.keys(purposeOfUse)) expect(purposeInWords(code)).toMatch(/^[a-z].* \([A-Z]+\)$/u);
});

test("a malformed configuration names its key and never its value", ({ expect }) => {
  for (const text of [
    "{",
    '{"agreements":{"x":"x"}}',
    '{"recipients":{"x":{"phone":"1"}}}',
    '{"other":1}',
    "[]",
  ])
    expect(() => accountingConfig(text), text).toThrow(
      "ACCOUNTING: expected JSON as docs/accounting.md describes it",
    );
});

test("the parameters and the method of an accounting", ({ expect }) => {
  const read = (query: string, method = "GET", path = ["Patient", "1", "$disclosures"]) =>
    readInteraction(method, path, query);
  expect(read("")).toEqual({
    ok: true,
    value: {
      kind: "disclosures",
      type: "Patient",
      id: "1",
      start: undefined,
      end: undefined,
      all: false,
      forIndividual: false,
      summed: false,
      recipient: undefined,
      purpose: undefined,
      count: undefined,
      zone: undefined,
      format: "json",
    },
  });
  expect(read("start=2026-01-01&end=2026-01-31&all=true&_format=text/csv")).toMatchObject({
    ok: true,
    value: {
      start: { text: "2026-01-01", at: Date.UTC(2026, 0, 1) },
      end: { text: "2026-01-31", at: Date.UTC(2026, 1, 1) - 1 },
      all: true,
      format: "csv",
    },
  });
  expect(
    read(
      "start=2026-01-01T10:00:00%2B02:00&end=2026-01-01T08:00:00.5Z&summed=true&recipient=r&purpose=PUBHLTH&_count=5000",
    ),
  ).toMatchObject({
    ok: true,
    value: {
      start: { at: Date.UTC(2026, 0, 1, 8) },
      end: { at: Date.UTC(2026, 0, 1, 8, 0, 0, 599) },
      summed: true,
      recipient: "r",
      purpose: "PUBHLTH",
      count: 1_000,
    },
  });
  expect(read("for=individual")).toMatchObject({ ok: true, value: { forIndividual: true } });
  expect(read("_format=application/fhir%2Bjson")).toMatchObject({ ok: true, value: { format: "json" } });
  for (const query of [
    "_format=xml",
    "_format=__proto__",
    "start=2026-1-1",
    "start=2026-02-31",
    "end=x",
    "start=2026-01-01T10:00:00",
    "start=2026-01-01T10:00Z",
    "start=2026-02-31T10:00:00Z",
    "start=2026-01-02&end=2026-01-01T10:00:00Z",
    "summed=1",
    "recipient=",
    "purpose=a+b",
    "_count=0",
    "all=1",
    "for=me",
    "zone=Nowhere/City",
    "zone=__proto__",
    "zone=+01:00",
    "x=1",
    "_summary=true",
  ])
    expect(read(query).ok, query).toBe(false);
  expect(read("", "POST")).toMatchObject({ ok: false, error: { reason: "method_not_supported" } });
  for (const path of [["Patient", "$disclosures"], ["Observation", "1", "$disclosures"], ["$disclosures"]])
    expect(read("", "GET", path)).toMatchObject({
      ok: false,
      error: { reason: "interaction_not_supported" },
    });
});

test("each form links to the next page and says that it is a part; a single page has a total", ({
  expect,
}) => {
  const next = "https://gateway.test/v1/fhir/main/Patient/1/$disclosures?_page=x&_format=text/html";
  const place = { self: "https://gateway.test/x", site: "main", requestId: "0" };
  const accounting = composeAccounting([line("r", "PUBHLTH")], nothing, { ...period, next, all: true });
  const bundle = accountingBundle(accounting, place);
  expect(bundle.link).toEqual([
    { relation: "self", url: place.self },
    { relation: "next", url: next },
  ]);
  expect(bundle).not.toHaveProperty("total");
  expect(accountingCsv(accounting)).toContain(`\r\nThe next page: ${next}\r\n`);
  expect(pageOf(accounting)).toContain(`<link rel="next" href="${next.replace("&", "&amp;")}">`);
  expect(accounting.words.join(" ")).toContain(
    "This is the first page; the accounting is complete only with all of its pages.",
  );
  const last = composeAccounting([], nothing, { ...period, isFirst: false, all: true });
  expect(accountingBundle(last, place)).not.toHaveProperty("total");
  expect(last.words.join(" ")).toContain("This is a further page");
  expect(accountingBundle(composeAccounting([], nothing, { ...period, all: true }), place)).toMatchObject({
    total: 0,
  });
});

test("a sum shows the first and last disclosure, their number and all counts, in each form, and no proof", ({
  expect,
}) => {
  const last = { log: "s1-2026h2", index: 9, line: 2, at: at + 86_400_000 };
  const summed = {
    ...line("r", "PUBHLTH"),
    sum: { number: 12, last, counts: { Observation: 24, Patient: 1 } },
  };
  const accounting = composeAccounting([summed, line("q", "PUBHLTH")], nothing, {
    ...period,
    summed: true,
    all: true,
  });
  const [head, row, single] = accountingCsv(accounting).split("\r\n");
  expect(head).toBe(
    "time,recipient,recipient id,address,purpose,agreement,disclosed,patient,required by law,ledger line,number,last time,disclosed in all,last ledger line",
  );
  expect(row).toMatch(
    /^2026-11-24T12:00:00.000Z,r,.*,s0-2026h2\/5\/0,12,2026-11-25T12:00:00.000Z,"Observation 24, Patient 1",s1-2026h2\/9\/2$/u,
  );
  expect(single).toMatch(/,1,2026-11-24T12:00:00.000Z,Observation 2,s0-2026h2\/5\/0$/u);
  const page = pageOf(accounting);
  for (const [head, cell] of [
    ["How often", "12"],
    ["Last time", "November 25, 2026, 12:00 pm"],
    ["What in all", "24 test results and measurements; 1 record of name, contacts and personal facts"],
  ])
    expect(page).toContain(`<td role="cell" data-head="${head}">${cell}</td>`);
  expect(page.match(/<tr role="row"><th scope="row" .*?<\/th>(?:<td .*?<\/td>){7}<\/tr>/gu)).toHaveLength(2);
  const [entry] = accountingBundle(accounting, {
    self: "https://gateway.test/x",
    site: "main",
    requestId: "0",
  }).entry;
  expect(entry?.resource).toMatchObject({
    period: { start: "2026-11-24T12:00:00.000Z", end: "2026-11-25T12:00:00.000Z" },
  });
  for (const form of [page, accountingCsv(accounting), JSON.stringify(entry)])
    expect(form).not.toMatch(/"proof"|Proof of/u);
});
