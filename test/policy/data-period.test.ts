import { test } from "vitest";
import { instant } from "#kernel/clock";
import { Facts } from "#fhir/json/facts";
import { textAt, type JsonObject } from "#fhir/json/json";
import { isInDataPeriod, timeMembersOf } from "#policy/consent/data-period";
import { diffPolicies } from "#authoring/diff";
import { utf8 } from "#kernel/encoded";
import { Discloser } from "#phi/disclose";
import { observation, resource } from "./consent/scene.ts";
import { policy, rule } from "./granting.ts";
import { bases, grantUnder, readUnder } from "../phi/consented.ts";

const at = instant(Date.parse("2026-11-27T12:00:00Z"));
const factsOf = (row: JsonObject) =>
  Facts.of(row, [
    ["resourceType"],
    ...timeMembersOf(textAt(row, "resourceType") ?? "").map((name) => [name] as const),
  ]);
const dated = (more: object) => factsOf(observation({ effectiveDateTime: null, ...more }));

test("the date of service decides, to the day; a row without a date, or with a broken one, stays out", ({
  expect,
}) => {
  const years = (more: object) => isInDataPeriod({ years: 5 }, dated(more), at);
  expect(years({ effectiveDateTime: "2021-11-27" })).toBe(true);
  expect(years({ effectiveDateTime: "2021-11-26" })).toBe(false);
  expect(years({ effectiveDateTime: "2019-01-01", issued: "2022-01-01T00:00:00Z" })).toBe(false);
  expect(years({ issued: "2022-01-01T00:00:00Z" }), "no time of service").toBe(true);
  expect(years({ effectivePeriod: { start: "2010-01-01" } }), "without an end it goes on").toBe(true);
  const unknown = { extension: [{ url: "https://other.example", valueCode: "unknown" }] };
  for (const [effectivePeriod, isIn] of [
    [{ start: "2010-01-01", _end: unknown }, true],
    [{ start: "2010-01-01", _start: unknown, end: "2022-01-01", _end: unknown }, true],
    [{ start: "2010-01-01", end: "2011-01-01", _end: unknown }, false],
    [{ _start: unknown, end: "2011-01-01" }, false],
    [{ _start: unknown, _end: unknown }, false],
    [{ start: "2010-01-01", modifierExtension: [] }, false],
  ] as const)
    expect(years({ effectivePeriod }), JSON.stringify(effectivePeriod)).toBe(isIn);
  expect(years({})).toBe(false);
  expect(years({ effectiveDateTime: "soon" })).toBe(false);
  const since = (date: string) =>
    isInDataPeriod({ since: "2016-01-01" }, dated({ effectiveDateTime: date }), undefined);
  expect([since("2015-12-31"), since("2015"), since("2016"), since("2016-01-01")]).toEqual([
    false,
    false,
    true,
    true,
  ]);
  const patient = Facts.of(resource({ resourceType: "Patient", id: "1" }), [["resourceType"]]);
  expect(isInDataPeriod({ years: 5 }, patient, at), "a type without a date").toBe(true);
  expect(isInDataPeriod({ years: 5 }, dated({ effectiveDateTime: "2026" }), undefined), "no request").toBe(
    false,
  );
});

test("the date of a record about an old service opens nothing", ({ expect }) => {
  const [old, now] = ["2010-05-01", "2025-05-01"];
  const isIn = (resourceType: string, more: object) =>
    isInDataPeriod({ years: 5 }, factsOf(resource({ resourceType, id: "1", ...more })), at);
  const billed = (start: string) => ({ billablePeriod: { start, end: start }, created: now });
  for (const [type, more, expected] of [
    ["ExplanationOfBenefit", billed(old), false],
    ["ExplanationOfBenefit", billed(now), true],
    ["ExplanationOfBenefit", { item: [{ servicedDate: old }], created: now }, false],
    ["ExplanationOfBenefit", { item: [{ servicedDate: old }, { servicedDate: now }], created: now }, true],
    ["ExplanationOfBenefit", { item: [{ sequence: 1 }], created: now }, true],
    ["Observation", { effectiveTiming: { event: [old] }, issued: `${now}T00:00:00Z` }, false],
    ["Observation", { effectiveTiming: { repeat: { frequency: 1 } }, issued: `${now}T00:00:00Z` }, false],
    ["Immunization", { occurrenceDateTime: old, recorded: now }, false],
    ["Immunization", { occurrenceString: "as a child", recorded: now }, false],
    ["Procedure", { performedPeriod: { start: old, end: now } }, true],
    ["DocumentReference", { context: { period: { start: old, end: old } }, date: `${now}T00:00:00Z` }, false],
    ["AdverseEvent", { date: old, recordedDate: now }, false],
    // the beginning of a condition is no service
    ["Condition", { onsetDateTime: old, recordedDate: now }, true],
    ["Condition", { onsetDateTime: old }, false],
  ] as const)
    expect(isIn(type, more), `${type} ${JSON.stringify(more)}`).toBe(expected);
});

test("a type with a time of validity alone is limited only by a time that its row states", ({ expect }) => {
  const isIn = (resourceType: string, more: object) =>
    isInDataPeriod({ years: 5 }, factsOf(resource({ resourceType, id: "1", ...more })), at);
  for (const type of ["Coverage", "CareTeam", "PractitionerRole", "RelatedPerson"]) {
    expect(isIn(type, {}), type).toBe(true);
    expect(isIn(type, { period: { start: "2010-01-01" } }), type).toBe(true);
    expect(isIn(type, { period: { end: "2010-01-01" } }), type).toBe(false);
    expect(isIn(type, { period: { end: "soon" } }), type).toBe(false);
  }
  for (const type of ["Encounter", "Procedure", "Specimen"]) expect(isIn(type, {}), type).toBe(false);
});

test("both engines leave rows out by their dates, also where the view hides the date", ({ expect }) => {
  for (const show of ["everything", ["status", "code"]] as const) {
    const document = {
      ...policy(rule(["Observation"], typeof show === "string" ? show : [...show])),
      dataPeriod: { since: "2016-01-01" },
    };
    const grant = grantUnder({ policy: document, consents: [] }, "Observation?status=final");
    for (const [date, kind] of [
      ["2015-06-01", "hidden"],
      ["2020-06-01", "match"],
      ["2015-06-01", "hidden"],
    ] as const) {
      const row = observation({
        status: "final",
        subject: { reference: "Patient/a" },
        effectiveDateTime: date,
      });
      const bytes = utf8(JSON.stringify({ resource: row, search: { mode: "match" } }));
      for (const engine of ["bytes", "plain"] as const) {
        const entry = new Discloser(grant, bases, [], engine).entry(bytes, "Observation");
        expect(entry.ok && entry.value.kind, `${engine} ${date}`).toBe(kind);
      }
      expect(readUnder({ policy: document, consents: [] }, row) === undefined).toBe(kind === "hidden");
    }
  }
});

test("a change of the data period is a difference of policies", ({ expect }) => {
  const before = policy(rule(["Observation"], "everything"));
  const found = diffPolicies(before, { ...before, dataPeriod: { years: 5 } });
  expect(found.map(({ change, name }) => `${change} ${name}`)).toEqual([
    "more rows of the last 5 years",
    "less rows of every date",
  ]);
});
