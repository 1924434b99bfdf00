import { test } from "vitest";
import { instant } from "#kernel/clock";
import { Facts } from "#fhir/json/facts";
import { isInDataPeriod } from "#policy/consent/data-period";
import { diffPolicies } from "#authoring/diff";
import { utf8 } from "#kernel/encoded";
import { Discloser } from "#phi/disclose";
import { observation, resource } from "./consent/scene.ts";
import { policy, rule } from "./granting.ts";
import { bases, grantUnder, readUnder } from "../phi/consented.ts";

const at = instant(Date.parse("2026-11-27T12:00:00Z"));
const dated = (more: object) =>
  Facts.of(observation({ effectiveDateTime: null, ...more }), [
    ["resourceType"],
    ["effectiveDateTime"],
    ["effectivePeriod"],
    ["issued"],
  ]);

test("the latest date of a row decides, to the day; a row without a date, or with a broken one, stays out", ({
  expect,
}) => {
  const years = (more: object) => isInDataPeriod({ years: 5 }, dated(more), at);
  expect(years({ effectiveDateTime: "2021-11-27" })).toBe(true);
  expect(years({ effectiveDateTime: "2021-11-26" })).toBe(false);
  expect(years({ effectiveDateTime: "2019-01-01", issued: "2022-01-01T00:00:00Z" })).toBe(true);
  expect(years({ effectivePeriod: { start: "2010-01-01" } }), "without an end it goes on").toBe(true);
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
