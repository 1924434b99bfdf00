import { test } from "vitest";
import type { Accounting } from "#audit/accounting/compose";
import { english } from "#audit/accounting/page/english";
import { accountingPage } from "#audit/accounting/page/html";
import { languages, textsOf } from "#audit/accounting/page/languages";
import { isShownAsProven, shownFacts } from "#audit/accounting/page/shown";
import { instant } from "#kernel/clock";
import { foreign, latinWords } from "../../support/foreign-texts.ts";

const at = instant(Date.UTC(2026, 10, 24, 12));
const says = {
  subject: new Uint8Array(32),
  at,
  recipient: "7",
  purposes: ["TREAT"],
  agreement: "8",
  counts: { Observation: 2, Patient: 1 },
};
/** An accounting with each part that the page can show; the data are digits. */
const accounting: Accounting = {
  patients: ["1", "2"],
  isWhole: false,
  from: "2020-11-24",
  to: "2026-11-24T12:00:00Z",
  all: true,
  summed: false,
  isFirst: true,
  next: "3",
  research: [],
  words: [],
  lines: [
    {
      patient: "1",
      says,
      recipient: { id: "7", name: "9", address: "10" },
      standing: { required: false, clause: "i" },
      heldUntil: "2026-12-01T00:00:00.000Z",
      consents: [{ consent: "14", digest: "4", given: "2026-11-01", filedAt: at, purposes: ["TREAT"] }],
      place: "5",
      sum: undefined,
      proof: undefined,
    },
    {
      patient: "2",
      says: { ...says, counts: {} },
      recipient: { id: "7", name: "9", address: undefined },
      standing: { required: true },
      heldUntil: undefined,
      consents: [],
      place: "6",
      sum: undefined,
      proof: undefined,
    },
  ],
};
const facts = {
  person: { name: "11", birthDate: "1984-03-12" },
  maker: undefined,
  ledger: { url: "12", key: "13" },
  at,
  zone: "UTC",
};
/** The folded part repeats the record's own codes, times and words, which the check compares with the proof. */
const codes = /^(?:TREAT|Observation|Patient|T\d\d|Z|i|that|nothing|was|found)$/u;

test("a further language of the accounting's page is a further table of texts", ({ expect }) => {
  const table = foreign(english);
  for (const shown of [
    accounting,
    { ...accounting, all: false, summed: true },
    { ...accounting, lines: [] },
  ]) {
    const html = accountingPage(shown, facts, table);
    expect(html).toContain("жжжж");
    expect(latinWords(html).filter((word) => !codes.test(word))).toEqual([]);
  }
});

test("the check writes a line again in the language of the page", ({ expect }) => {
  const table = foreign(english);
  const shown = shownFacts(says, "UTC", table);
  const details = [new Date(at).toISOString(), "7", "TREAT", "Observation 2, Patient 1"];
  expect(isShownAsProven({ ...shown, details }, says, "UTC", table)).toBe(true);
  expect(isShownAsProven({ ...shown, details }, says, "UTC", english)).toBe(false);
});

test("each language has a name of its own, and an unknown language has no texts", ({ expect }) => {
  expect(new Set(languages.map(({ language }) => language)).size).toBe(languages.length);
  for (const each of languages) expect(textsOf(each.language)).toBe(each);
  expect(textsOf("жж")).toBeUndefined();
});

test("a line of several disclosures promises no proof", ({ expect }) => {
  const summary = (summed: boolean) =>
    /<summary>(.*?)<\/summary>/u.exec(accountingPage({ ...accounting, summed }, facts, english))?.[1];
  expect([summary(false), summary(true)]).toEqual(["Details and proof", "Details"]);
});
