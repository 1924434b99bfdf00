import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { proveExamples } from "#authoring/prove-examples";
import { parsePolicyDocument } from "#policy/document";
import { isReading, readInteraction } from "#fhir/interaction";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { ruleInteractions } from "#policy/schema";
import { compilePolicy } from "#policy/compile";
import { isCompartmentType } from "#fhir/r4/compartment-tables";
import { evaluateWrite } from "#policy/evaluate-write";
import { factsFor } from "#policy/facts";
import type { JsonObject } from "#fhir/json/json";
import { evaluate } from "#policy/evaluate";
import { readUnder } from "../phi/consented.ts";
import { consent } from "./consent/scene.ts";

const folder = join(import.meta.dirname, "../../policies");
const names = readdirSync(folder);
const body = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), "utf8"));

test.for(names)(
  "the starter policy %s is publishable, and each of its examples is true",
  (name, { expect }) => {
    const document = parsePolicyDocument(body(name));
    if (!document.ok) return expect(document.error).toBeUndefined();
    expect(`${document.value.name}.json`).toBe(name);
    expect(proveExamples(document.value)).toEqual([]);
  },
);

test("docs/starter-policies.md states the grants of each policy for each type", ({ expect }) => {
  const columns = ["treat", "patrqt", "hpaymt", "hoperat", "pubhlth", "hresch"].map((name) => {
    const document = parsePolicyDocument(body(`${name}.json`));
    if (!document.ok) throw new Error(document.error.problem);
    return { name, rules: document.value.rules };
  });
  const granted = r4ResourceTypes.flatMap((type) => {
    const grants = columns.flatMap(({ name, rules }) => {
      const own = rules.filter(({ types }) => types.includes(type));
      const letters = ruleInteractions
        .filter((one) => own.some(({ interactions }) => interactions.includes(one)))
        .map((one) => one.charAt(0));
      const isDirectory = own.some(({ referredBy }) => referredBy?.includes("*") === true);
      const isReferred = own.some(({ referredBy }) => referredBy !== undefined);
      const referred = isDirectory ? "*" : isReferred ? "+" : "";
      return letters.length === 0 ? [] : [`${name} \`${letters.join("")}${referred}\``];
    });
    return grants.length === 0 ? [] : [`${type}: ${grants.join(", ")}`];
  });
  const page = readFileSync(join(folder, "../docs/starter-policies.md"), "utf8");
  const stated = [...page.matchAll(/^- (?<grants>[a-z]+ `[rscu+*]+`.*?): (?<types>.+)$/gmu)].flatMap(
    ({ groups }) =>
      (groups?.["types"] ?? "").split(", ").map((type) => `${type}: ${groups?.["grants"] ?? ""}`),
  );
  expect(stated.toSorted()).toEqual(granted.toSorted());
});

const policyOf = (name: string) => {
  const document = parsePolicyDocument(body(`${name}.json`));
  if (!document.ok) throw new Error(document.error.problem);
  return document.value;
};

test("no starter policy deletes, the narrow policies write nothing, and none writes an element that relations are read from", ({
  expect,
}) => {
  const written = (name: string) =>
    policyOf(name).rules.flatMap(({ types, interactions }) =>
      interactions.some((one) => one === "create" || one === "update") ? types : [],
    );
  for (const name of ["hpaymt", "hoperat", "pubhlth", "hresch"]) expect(written(name), name).toEqual([]);
  for (const name of ["treat", "patrqt"]) {
    expect(policyOf(name).rules.some(({ interactions }) => interactions.includes("delete"))).toBe(false);
    for (const type of [
      "Group",
      "RelatedPerson",
      "PractitionerRole",
      "Person",
      "Practitioner",
      "Organization",
      "Consent",
    ] as const) {
      expect(written(name), `${name} ${type}`).not.toContain(type);
    }
  }
});

test("patrqt shows every type of the patient compartment but audit events and trials, and reads and finds referred persons only by reference", ({
  expect,
}) => {
  const { rules } = policyOf("patrqt");
  const readable = new Set(
    rules.flatMap(({ types, interactions }) => (interactions.includes("read") ? types : [])),
  );
  expect(r4ResourceTypes.filter((type) => isCompartmentType(type) && !readable.has(type))).toEqual([
    "AuditEvent",
    "ResearchSubject",
  ]);
  for (const type of [
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "Medication",
    "Device",
  ] as const) {
    const own = rules.filter(({ types }) => types.includes(type));
    expect(own, type).toHaveLength(1);
    expect(own[0], type).toMatchObject({
      interactions: ["read", "search"],
      referredBy: expect.arrayContaining([expect.any(String)]),
    });
  }
});

const v3 = "http://terminology.hl7.org/CodeSystem/v3-";
const restricted = { system: `${v3}Confidentiality`, code: "R" };
const act = (code: string) => ({ system: `${v3}ActCode`, code });
const law = (code: string) => ({ system: `${v3}ActUSPrivacyLaw`, code });

test.for(["treat", "hpaymt", "hoperat"])(
  "by %s a patient's Consent lets labelled rows leave, also records of 42 CFR Part 2; psychotherapy notes stay out",
  (name, { expect }) => {
    const policy = policyOf(name);
    const [purpose = ""] = policy.purposes;
    const tpo = consent({
      type: "permit",
      purpose: ["TREAT", "HPAYMT", "HOPERAT"].map((code) => ({ system: `${v3}ActReason`, code })),
      securityLabel: [{ ...restricted, code: "V" }, ...["SUD", "PSYTHPN"].map(act)],
    });
    const shown = (consents: readonly JsonObject[], ...security: readonly JsonObject[]) =>
      readUnder(
        { policy, purpose, consents },
        {
          resourceType: "Condition",
          id: "c",
          meta: { security },
          subject: { reference: "Patient/a" },
          code: { coding: [{ system: "http://snomed.info/sct", code: "38341003" }] },
        },
      );
    const labelled = [
      [restricted],
      [restricted, act("HIV")],
      [law("42CFRPart2")],
      [law("Title38Section7332")],
    ];
    for (const security of labelled) {
      expect(shown([], ...security), JSON.stringify(security)).toBeUndefined();
      expect(shown([tpo], ...security), JSON.stringify(security)).toBeDefined();
    }
    for (const code of ["42CFRPart2", "PERSISTLABEL", "NORDSCLCD"])
      expect(JSON.stringify(shown([tpo], law("42CFRPart2"))?.["meta"]), code).toContain(code);
    for (const security of [[act("PSYTHPN")], [law("HIPAAPsyNotes"), law("42CFRPart2")]])
      expect(shown([tpo], ...security), JSON.stringify(security)).toBeUndefined();
    expect(shown([tpo], law("HIPAASelfPay")) !== undefined).toBe(name === "treat");
  },
);

test.for<[string, Added, boolean]>([
  ["blood pressure at home", { category: "vital-signs" }, true],
  ["a laboratory result", { category: "laboratory" }, false],
  ["a laboratory result that is called a survey too", { category: "survey", beside: "laboratory" }, false],
  ["another patient's", { category: "survey", patient: "2" }, false],
  ["what nobody says the category of", {}, false],
])("an individual adds to the record: %s", ([, { category, beside, patient = "1" }, may], { expect }) => {
  const coded = (code: string) => ({
    coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code }],
  });
  const access = {
    scopes: [{ context: "patient", type: "*", permissions: ["c"], filters: [] }],
    patient: "1",
  } as const;
  const create = evaluateWrite(compilePolicy(policyOf("patrqt"), ""), access, {
    kind: "create",
    type: "Observation",
  });
  if (!create.ok) return expect(create.error).toBeUndefined();
  const resource = {
    resourceType: "Observation",
    status: "final",
    category: [category, beside].filter((code) => code !== undefined).map(coded),
    code: { text: "said at home" },
    subject: { reference: `Patient/${patient}` },
  };
  const view = create.value.writable(factsFor(create.value, resource), "https://origin.example");
  expect(view !== undefined).toBe(may);
  expect(view?.object.elements.has("performer") ?? false).toBe(false); // a type that nobody could check
});

interface Added {
  readonly category?: string;
  readonly beside?: string;
  readonly patient?: string;
}

test("each of the six purposes has a starter policy, the privacy office one of its own, and payers their two APIs", ({
  expect,
}) => {
  expect(names.toSorted()).toEqual([
    "hoperat.json",
    "hpaymt.json",
    "hresch-limited.json",
    "hresch-safe-harbor.json",
    "hresch.json",
    "patrqt.json",
    "payer-to-payer.json",
    "privacy-office.json",
    "provider-access.json",
    "pubhlth.json",
    "treat.json",
  ]);
});

test.for(["treat.json", "hpaymt.json", "pubhlth.json"])(
  "%s permits the requests that the README shows",
  (name, { expect }) => {
    const document = parsePolicyDocument(body(name));
    if (!document.ok) return expect(document.error).toBeUndefined();
    const policy = compilePolicy(document.value, name);
    for (const [path, query] of [
      ["Patient/1", ""],
      ["Observation", "patient=1"],
      ["Condition", "patient=Patient/1"],
    ] as const) {
      const interaction = readInteraction("GET", path.split("/"), query);
      if (!interaction.ok || !isReading(interaction.value)) return expect(interaction).toBeUndefined();
      expect(
        evaluate(
          policy,
          {
            scopes: [{ context: "system", type: "*", permissions: ["r", "s"], filters: [] }],
            patient: undefined,
          },
          interaction.value,
        ).ok,
        `${path}?${query}`,
      ).toBe(true);
    }
  },
);

test.for(["hpaymt.json", "hoperat.json", "pubhlth.json"])(
  "by %s a feed finds what has changed, of every type that it may search",
  (name, { expect }) => {
    const document = parsePolicyDocument(body(name));
    if (!document.ok) return expect(document.error).toBeUndefined();
    const policy = compilePolicy(document.value, name);
    const types = document.value.rules
      .filter((rule) => rule.interactions.includes("search"))
      .flatMap((rule) => rule.types);
    expect(types).toContain("Condition");
    for (const type of types) {
      const interaction = readInteraction("GET", [type], "_lastUpdated=ge2026-01-01T00:00:00Z");
      if (!interaction.ok || !isReading(interaction.value)) return expect(interaction).toBeUndefined();
      expect(
        evaluate(
          policy,
          {
            scopes: [{ context: "system", type: "*", permissions: ["s"], filters: [] }],
            patient: undefined,
          },
          interaction.value,
        ).ok,
        type,
      ).toBe(true);
    }
  },
);
