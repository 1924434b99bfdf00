import { expect, test } from "vitest";
import { isResourceType, r4ResourceTypes } from "#fhir/r4/elements";
import { searchParametersOf } from "#fhir/search/parameters";
import { readPolicyDocument } from "#policy/document";
import { isSearchableIn } from "#policy/form/form-search";
import type { PolicyDocument, PolicyForm, PolicyRule } from "#policy/schema";
import { policy, rule } from "./granting.ts";

const safe: PolicyForm = {
  kind: "safe-harbor",
  dataSet: "asthma",
  noActualKnowledge: { statedBy: "The privacy officer", on: "2026-01-01" },
};
const limited: PolicyForm = { kind: "limited-data-set", dataSet: "asthma" };
const expert: PolicyForm = {
  kind: "expert",
  dataSet: "asthma",
  table: "limited-data-set",
  method: "k-anonymity of 11 over region and year",
  expert: "A. Statistician",
  on: "2026-01-01",
  until: "2027-01-01",
};

function problemsOf(form: PolicyForm, rules: Partial<PolicyRule>, more: Partial<PolicyDocument> = {}) {
  const document = {
    ...policy(rule(["Observation"], ["status", "code", "subject"], { search: ["code"], ...rules })),
    purposes: ["HRESCH"],
    form,
    ...more,
  };
  const read = readPolicyDocument(document);
  return read.ok ? [] : read.error.map(({ pointer }) => pointer);
}

const searchable = (form: "safe-harbor" | "limited-data-set", type: string) =>
  [...searchParametersOf(type).values()].flatMap((definition) =>
    isSearchableIn(form, type, definition) ? [definition.code] : [],
  );

test("a policy with a form is read, whatever its form", () => {
  for (const form of [safe, limited, expert]) expect(problemsOf(form, {})).toEqual([]);
});

test("a form without what its clause demands is refused", () => {
  const { noActualKnowledge: _, ...bare } = safe;
  expect(problemsOf(bare as PolicyForm, {})).not.toEqual([]);
  for (const lost of ["method", "expert", "on", "until", "table", "dataSet"]) {
    const { [lost as keyof PolicyForm]: _lost, ...rest } = expert;
    expect(problemsOf(rest as PolicyForm, {})).not.toEqual([]);
  }
  expect(problemsOf({ ...expert, until: "2026-01-01" }, {})).toEqual(["/form/until"]);
});

test("a limited data set serves research, public health and operations alone", () => {
  for (const purpose of ["TREAT", "HPAYMT", "HMARKT", "PATRQT", "HLEGAL"])
    expect(problemsOf(limited, {}, { purposes: [purpose] })).toEqual(["/purposes/0"]);
  for (const purpose of ["HRESCH", "CLINTRCH", "PUBHLTH", "HOPERAT"])
    expect(problemsOf(limited, {}, { purposes: [purpose] })).toEqual([]);
  expect(problemsOf(safe, {}, { purposes: ["HMARKT"] })).toEqual([]);
});

test("a policy with a form writes nothing, shows no type that is withheld, and has no operation but of rows", () => {
  expect(problemsOf(safe, { interactions: ["read", "create"] })).toContain("/rules/0/interactions/1");
  expect(problemsOf(safe, { types: ["Binary"], show: "everything", search: [] })).toContain(
    "/rules/0/types/0",
  );
  expect(problemsOf(safe, {}, { operations: ["everything", "disclosures"] })).toEqual(["/operations/1"]);
  expect(problemsOf(safe, {}, { consentRegistrar: true })).toEqual(["/consentRegistrar"]);
});

test("a rule names its searches, and none that reads what the form changes", () => {
  const { search: _, ...unnamed } = rule(["Observation"], ["status"], {});
  expect(problemsOf(safe, { ...unnamed, search: undefined })).toEqual(["/rules/0/search"]);
  for (const code of ["date", "_lastUpdated", "identifier", "value-quantity", "code-value-quantity"])
    expect(problemsOf(safe, { search: ["code", code] })).toContain("/rules/0/search/1");
  expect(problemsOf(limited, { search: ["code", "date"], show: "everything" })).toEqual([]);
});

test("the searches of each form follow from the fates", () => {
  expect(searchable("safe-harbor", "Patient")).toMatchInlineSnapshot(`
    [
      "_id",
      "_security",
      "_tag",
      "active",
      "general-practitioner",
      "language",
      "link",
      "organization",
      "address-use",
      "gender",
    ]
  `);
  expect(searchable("limited-data-set", "Patient")).toMatchInlineSnapshot(`
    [
      "_id",
      "_lastUpdated",
      "_security",
      "_tag",
      "active",
      "death-date",
      "deceased",
      "general-practitioner",
      "language",
      "link",
      "organization",
      "address-city",
      "address-country",
      "address-postalcode",
      "address-state",
      "address-use",
      "birthdate",
      "gender",
    ]
  `);
  expect(searchable("safe-harbor", "Observation")).toMatchInlineSnapshot(`
    [
      "_id",
      "_security",
      "_tag",
      "based-on",
      "category",
      "combo-code",
      "combo-data-absent-reason",
      "component-code",
      "component-data-absent-reason",
      "data-absent-reason",
      "derived-from",
      "device",
      "focus",
      "has-member",
      "method",
      "part-of",
      "performer",
      "specimen",
      "status",
      "subject",
      "code",
      "encounter",
      "patient",
    ]
  `);
});

test("no form searches by an identifier, a name, a text or a URL, in any type", () => {
  for (const type of r4ResourceTypes.filter(isResourceType))
    for (const definition of searchParametersOf(type).values())
      if (
        definition.type === "uri" ||
        ["identifier", "name", "telecom", "phone", "email"].includes(definition.code)
      )
        expect(`${type} ${definition.code} ${isSearchableIn("limited-data-set", type, definition)}`).toBe(
          `${type} ${definition.code} false`,
        );
});
