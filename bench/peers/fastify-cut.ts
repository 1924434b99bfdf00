/**
 * The code of a team that needs this one view: an allow-list as a tree, applied to parsed JSON. The view is
 * `policies/hpaymt.json` for these two types. The benchmark compares its answers with Phylax's, member by
 * member.
 */
interface Members {
  readonly [element: string]: true | Members;
}
interface Cut {
  readonly [element: string]: unknown;
}

const systems: ReadonlySet<unknown> = new Set([
  "http://hospital.smarthealthit.org",
  "https://github.com/synthetichealth/synthea",
  "urn:oid:1.2.36.146.595.217.0.1",
  "https://commonwealth-mutual.example/member",
]);
const subsetted = {
  system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
  code: "SUBSETTED",
  display: "Subsetted",
};
const laboratory = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory";

const views: Readonly<Record<string, Members>> = {
  Patient: {
    resourceType: true,
    id: true,
    meta: { lastUpdated: true, security: true },
    identifier: true, // cut by system, below
    active: true,
    name: { use: true, family: true, given: true, prefix: true, suffix: true },
    gender: true,
    birthDate: true,
    address: { use: true, type: true, line: true, city: true, state: true, postalCode: true, country: true },
  },
  Observation: {
    resourceType: true,
    id: true,
    meta: { lastUpdated: true },
    status: true,
    category: true,
    code: { coding: true },
    subject: { reference: true },
    encounter: { reference: true },
    effectiveDateTime: true,
    effectivePeriod: true,
    valueQuantity: true,
    valueCodeableConcept: { coding: true },
  },
};

/** A resource as the payer may see it, or undefined when no rule permits it. */
function cutResource(resource: Cut): Cut | undefined {
  const view = views[String(resource["resourceType"])];
  if (view === undefined || (resource["resourceType"] === "Observation" && !isLaboratory(resource)))
    return undefined;
  const cut = cutObject(resource, view);
  const identifiers = cut["identifier"];
  return {
    ...cut,
    ...(Array.isArray(identifiers) && {
      identifier: identifiers.filter((one: Cut) => systems.has(one["system"])),
    }),
    meta: { ...(cut["meta"] as Cut | undefined), tag: [subsetted] }, // an object where it is there: FHIR's Meta
  };
}

function cutObject(value: Cut, shown: Members): Cut {
  const out: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const view = Object.hasOwn(shown, name) ? shown[name] : undefined;
    if (view !== undefined) out[name] = view === true ? member : cutValue(member, view);
  }
  return out;
}

function cutValue(value: unknown, shown: Members): unknown {
  if (Array.isArray(value)) return value.map((item) => cutValue(item, shown));
  // it is an object, so it has members
  return typeof value === "object" && value !== null ? cutObject(value as Cut, shown) : value;
}

function isLaboratory({ category }: Cut): boolean {
  const codings = (category as readonly { readonly coding?: readonly Cut[] }[] | undefined)?.flatMap(
    ({ coding = [] }) => coding,
  ); // FHIR's CodeableConcept
  return codings?.some(({ system, code }) => `${String(system)}|${String(code)}` === laboratory) ?? false;
}

export interface Cutting {
  readonly body: unknown;
  readonly patients: Readonly<Record<string, number>>;
}

/** An origin's answer, cut, with its links on the gateway's base and the patients that it concerns. */
export function cutAnswer(answer: Cut, base: string, self: string): Cutting {
  const patients: Record<string, number> = {};
  const count = (resource: Cut) => {
    const reference = (resource["subject"] as Cut | undefined)?.["reference"]; // FHIR's Reference
    const patient = typeof reference === "string" ? reference : `Patient/${String(resource["id"])}`;
    patients[patient] = (patients[patient] ?? 0) + 1;
  };
  if (answer["resourceType"] !== "Bundle") {
    const resource = cutResource(answer);
    if (resource !== undefined) count(resource);
    return { body: resource, patients };
  }
  const entry = ((answer["entry"] as readonly { readonly resource: Cut }[] | undefined) ?? []).flatMap(
    ({ resource }) => {
      const cut = cutResource(resource);
      if (cut === undefined) return [];
      count(cut);
      return [
        {
          fullUrl: `${base}/${String(cut["resourceType"])}/${String(cut["id"])}`,
          resource: cut,
          search: { mode: "match" },
        },
      ];
    },
  );
  return {
    body: {
      resourceType: "Bundle",
      type: "searchset",
      total: entry.length,
      link: [{ relation: "self", url: self }],
      entry,
    },
    patients,
  };
}
