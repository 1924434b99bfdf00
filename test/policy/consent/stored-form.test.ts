import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { rowFactsOf } from "#policy/consent/row-facts";
import { readConsent } from "#policy/consent/read-consent";
import { readStoredForm, storedFormOf } from "#policy/consent/stored-form";
import { base, consent, level, purpose, recipient, requestOf, resource, verdict } from "./scene.ts";
import { judgeConsent } from "#policy/consent/judge-consent";

const folders = ["ihe-pcf", "examples-r4", "fast-consent"].map((name) =>
  join(import.meta.dirname, "../../../../shared/data/fhir", name),
);
const files = folders
  .filter((folder) => existsSync(folder))
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((path) => path.endsWith(".json"));
const published = files
  .map((path) => resource(JSON.parse(readFileSync(path, "utf8"))))
  .filter((each) => each["resourceType"] === "Consent");

const everyPart = consent({
  type: "permit",
  period: { start: "2020", end: "2030-01-01T00:00:00Z" },
  dataPeriod: { end: "2025" },
  purpose: [purpose("TREAT"), { system: "urn:own", code: "x" }, { code: "no system" }],
  action: [{ coding: [{ system: "http://terminology.hl7.org/CodeSystem/consentaction", code: "access" }] }],
  actor: [recipient({ reference: "Practitioner/p", identifier: { system: "s", value: "v" } })],
  securityLabel: [level("R"), {}],
  class: [{ system: "http://hl7.org/fhir/resource-types", code: "Observation" }],
  code: [{ coding: [{ system: "http://loinc.org", code: "1" }] }],
  data: [{ meaning: "instance", reference: { reference: "Observation/o" } }],
  provision: [{ type: "deny", modifierExtension: [] }, { period: { start: "?" } }],
});

test("a Consent is the same after it was stored: each part, and each published example that is there", ({
  expect,
}) => {
  for (const each of [everyPart, ...published]) {
    const rules = readConsent(each, base);
    expect(readStoredForm(storedFormOf(rules))).toStrictEqual(rules);
  }
});

test("the stored form has no order of its own, so that equal rules have the same digest", ({ expect }) => {
  const rules = readConsent(everyPart, base);
  const reversed = Object.fromEntries(Object.entries(rules).toReversed()) as typeof rules; // the same members
  expect(storedFormOf(reversed)).toBe(storedFormOf(rules));
  expect(storedFormOf({ ...rules, isActive: false })).not.toBe(storedFormOf(rules));
});

test("a form of a later version, or a damaged form, denies every request", ({ expect }) => {
  const permit = consent({ type: "permit" });
  const row = resource({ resourceType: "Observation", id: "o" });
  expect(verdict(permit, {}, row)).toBe("permit");
  const form = storedFormOf(readConsent(permit, base));
  const broken = [
    form.replace('"v":1', '"v":2'),
    form.replace('"isActive":true', '"isActive":true,"more":1'),
    form.slice(1),
    "",
  ];
  for (const text of broken) {
    expect(text).not.toBe(form);
    const rules = readStoredForm(text);
    expect(judgeConsent(rules, requestOf(), rowFactsOf(row, base)).verdict).toBe("deny");
  }
});
