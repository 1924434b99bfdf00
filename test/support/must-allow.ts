import type { Resource } from "@medplum/fhirtypes";
import { isCompartmentType } from "#fhir/r4/compartment-tables";
import { r4ResourceTypes } from "#fhir/r4/elements";
import type { Sending } from "../../cli/connection/mutual-tls.ts";
import { askersUnder, type AskerKind } from "./askers.ts";
import { startDoor, type Door } from "./in-process/door.ts";
import { requestOf } from "./in-process/mutual-tls.ts";

// What other projects' suites expect to be permitted (Microsoft's FHIR server and FHIR Works on AWS: SMART
// scopes; HAPI FHIR: reverse chains, answers to writes), rebuilt in our own words. Each case has the exact rows of
// its answer, so that a case that leaks fails as well.

const policy = {
  format: "phylax.policy.v1",
  name: "whole",
  title: "Every type, whole",
  purposes: ["PATRQT"],
  users: ["practitioner"],
  consentRegistrar: true,
  operations: ["everything", "lastn", "validate"],
  rules: [
    {
      types: r4ResourceTypes.filter(isCompartmentType),
      interactions: ["read", "search", "create", "update", "delete"],
      show: "everything",
      why: "45 CFR 164.524(a)(1): the individual's right of access.",
      examples: [{ says: "A search is permitted.", request: "Patient?name=x", is: "permitted" }],
    },
    {
      types: r4ResourceTypes.filter((type) => !isCompartmentType(type)),
      interactions: ["read", "search", "create", "update", "delete"],
      show: "everything",
      referredBy: ["Observation:performer", "Observation:device", "Patient:general-practitioner"],
      why: "45 CFR 164.524(a)(1): the individual's right of access.",
      examples: [{ says: "A search is permitted.", request: "Location?name=x", is: "permitted" }],
    },
  ],
};

export const to = (reference: string) => ({ reference });
export const coded = (system: string, code: string) => ({ coding: [{ system, code }] });
export const [loinc, category, tags] = [
  "http://loinc.org",
  "http://terminology.hl7.org/CodeSystem/observation-category",
  "urn:tags",
];

const rowsOf = (who: string, n: string): Resource[] =>
  [
    {
      resourceType: "Patient",
      id: who,
      identifier: [
        { system: "urn:mrn", value: `${who}-1`, type: coded(tags, "MR") },
        { system: "urn:other", value: `${who}-2`, type: coded(tags, "DL") },
      ],
      telecom: [{ system: "phone", value: "555" }],
      name: [{ family: who }],
      generalPractitioner: [to("Practitioner/vera")],
      deceasedBoolean: false,
      meta: {
        tag: [{ system: tags, code: "t1" }],
        profile: ["http://p.example/StructureDefinition/patient"],
      },
    },
    {
      resourceType: "Encounter",
      id: `e${n}`,
      status: "finished",
      class: { code: "AMB" },
      subject: to(`Patient/${who}`),
    },
    ...(["vital-signs", "laboratory"] as const).map((kind, i): Resource => ({
      resourceType: "Observation",
      id: `o${n}-${kind}`,
      status: "final",
      category: [coded(category, kind)],
      code: {
        text: i === 0 ? "Pulse" : "Blood sugar",
        coding: [{ system: loinc, code: `code-${i}`, display: i === 0 ? "Heart rate" : "Glucose in blood" }],
      },
      subject: to(`Patient/${who}`),
      encounter: to(`Encounter/e${n}`),
      performer: [
        { ...to("Practitioner/vera"), ...(i === 1 && { identifier: { system: "urn:npi", value: "7" } }) },
      ],
      device: to("Device/shared"),
      effectiveDateTime: `2026-0${i + 1}-01`,
      valueQuantity: { value: 5 + i, unit: "mg", system: "http://unitsofmeasure.org", code: "mg" },
      meta: { tag: [{ system: tags, code: kind === "laboratory" ? "t2" : "t3" }] },
    })),
    {
      resourceType: "Observation",
      id: `o${n}-performed`,
      status: "final",
      code: coded(loinc, "self"),
      performer: [to(`Patient/${who}`)],
    },
    {
      resourceType: "Condition",
      id: `c${n}`,
      subject: to(`Patient/${who}`),
      code: coded("urn:s", "c"),
      clinicalStatus: coded("urn:cs", "active"),
    },
    { resourceType: "Device", id: `d${n}`, patient: to(`Patient/${who}`), type: coded("urn:d", "implant") },
    {
      resourceType: "Provenance",
      id: `pr${n}`,
      recorded: "2026-01-01T00:00:00Z",
      target: [to(`Patient/${who}`), to(`Observation/o${n}-laboratory`), to(`Condition/c${n}`)],
      agent: [{ who: to("Practitioner/vera") }],
    },
    {
      resourceType: "Provenance",
      id: `prs${n}`,
      recorded: "2026-01-01T00:00:00Z",
      target: [to(`Observation/o${n}-vital-signs`)],
      agent: [{ who: to("Practitioner/vera") }],
    },
  ] as Resource[];
const appointment = (actor: object, more: object = {}) => ({
  resourceType: "Appointment",
  status: "booked",
  participant: [
    { actor: to("Patient/ann"), status: "accepted" },
    { actor, status: "accepted" },
  ],
  ...more,
});

/** Rows with further actors that are no patients. */
export const withActors: readonly object[] = [
  appointment({ display: "Dr. Doe" }),
  appointment({ type: "Practitioner", identifier: { value: "npi" } }),
  appointment(to("#p"), { contained: [{ resourceType: "Practitioner", id: "p" }] }),
  appointment(to("https://other.example/fhir/Location/3")),
  {
    resourceType: "Account",
    status: "active",
    subject: [to("Patient/ann"), { type: "Organization", display: "x" }],
  },
  { resourceType: "Schedule", actor: [{ display: "Room 1" }] },
];
/** Rows that name their patient only through an Encounter. */
export const throughEncounter: readonly object[] = [
  { resourceType: "QuestionnaireResponse", status: "completed", subject: to("Encounter/e1") },
  { resourceType: "Communication", status: "completed", encounter: to("Encounter/e1") },
];
export const stored = (rows: readonly object[], place: string) =>
  rows.map((row, n) => ({ ...row, id: `${place}-${n}` }) as Resource);

const resources: readonly Resource[] = [
  ...stored(withActors, "actors"),
  ...stored(throughEncounter, "through"),
  ...rowsOf("ann", "1"),
  ...rowsOf("ben", "2"),
  {
    resourceType: "Provenance",
    id: "pr-both",
    recorded: "2026-01-01T00:00:00Z",
    target: [to("Observation/o1-laboratory"), to("Observation/o2-laboratory")],
    agent: [{ who: to("Practitioner/vera") }],
  },
  { resourceType: "Practitioner", id: "vera", name: [{ family: "Vera" }] },
  { resourceType: "Practitioner", id: "zed", name: [{ family: "Zed" }] },
  { resourceType: "Device", id: "shared", type: coded("urn:d", "monitor") },
];

export interface AllowedReply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: {
    readonly entry?: readonly { readonly resource: { readonly id: string } }[];
    readonly id?: string;
  };
}

export type AllowedSending = Sending & { readonly more?: Record<string, unknown> };

/** The world of these suites behind a door of its own. */
export async function mustAllowWorld(further: readonly Resource[] = []): Promise<{
  readonly door: Door;
  /** Asks as an asker of the kind, with a token of these scopes. */
  readonly ask: (
    kind: AskerKind,
    scope: string,
    path: string,
    sending?: AllowedSending,
  ) => Promise<AllowedReply>;
}> {
  const askers = await askersUnder(policy);
  const door = await startDoor({ resources: [...resources, ...further] });
  await door.applyRegistry(askers.registry);
  return {
    door,
    ask: async (kind, scope, path, { more = {}, ...sending } = {}) => {
      const { certificate, token } = await askers.by(kind, { scope, ...more });
      const headers = { authorization: `Bearer ${token}`, ...sending.headers };
      const address = path.startsWith("https:") ? path : `${door.dev.fhir}/${path}`;
      const request = requestOf(door.dev.clientCa.cert, certificate, address, { ...sending, headers });
      const response = await door.within(() => door.fetch(request));
      const text = await response.text();
      return {
        status: response.status,
        headers: response.headers,
        text,
        body: text === "" ? {} : JSON.parse(text),
      };
    },
  };
}

/** The ids of the resources of an answer, sorted. */
export const idsOf = ({ body }: Pick<AllowedReply, "body">): readonly string[] =>
  body.entry === undefined
    ? body.id === undefined
      ? []
      : [body.id]
    : body.entry.map(({ resource }) => resource.id).toSorted();
