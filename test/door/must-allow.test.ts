import type { Resource } from "@medplum/fhirtypes";
import { afterAll, beforeAll, test } from "vitest";
import { isCompartmentType } from "#fhir/r4/compartment";
import { r4ResourceTypes } from "#fhir/r4/types.gen";
import type { Sending } from "../../cli/connection/mutual-tls.ts";
import { askersUnder, type AskerKind, type Askers } from "../support/askers.ts";
import { fhirJson } from "../support/fhir-parts.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { requestOf } from "../support/in-process/mutual-tls.ts";

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

const to = (reference: string) => ({ reference });
const coded = (system: string, code: string) => ({ coding: [{ system, code }] });
const [loinc, category, tags] = [
  "http://loinc.org",
  "http://terminology.hl7.org/CodeSystem/observation-category",
  "urn:tags",
];

const rowsOf = (who: string, n: string): Resource[] =>
  [
    {
      resourceType: "Patient",
      id: who,
      name: [{ family: who }],
      generalPractitioner: [to("Practitioner/vera")],
      deceasedBoolean: false,
      meta: { tag: [{ system: tags, code: "t1" }] },
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
      code: coded(loinc, `code-${i}`),
      subject: to(`Patient/${who}`),
      encounter: to(`Encounter/e${n}`),
      performer: [to("Practitioner/vera")],
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
const withActors: readonly object[] = [
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
const throughEncounter: readonly object[] = [
  { resourceType: "QuestionnaireResponse", status: "completed", subject: to("Encounter/e1") },
  { resourceType: "Communication", status: "completed", encounter: to("Encounter/e1") },
];
const stored = (rows: readonly object[], place: string) =>
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

let door: Door;
let askers: Askers;
beforeAll(async () => {
  askers = await askersUnder(policy);
  door = await startDoor({ resources });
  await door.applyRegistry(askers.registry);
}, 60_000);
afterAll(() => door.close());

async function ask(
  kind: AskerKind,
  scope: string,
  path: string,
  { more = {}, ...sending }: Sending & { more?: Record<string, unknown> } = {},
) {
  const { certificate, token } = await askers.by(kind, { scope, ...more });
  const headers = { authorization: `Bearer ${token}`, ...sending.headers };
  const request = requestOf(door.dev.clientCa.cert, certificate, `${door.dev.fhir}/${path}`, {
    ...sending,
    headers,
  });
  const response = await door.within(() => door.fetch(request));
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: text === "" ? {} : JSON.parse(text),
  };
}
const idsOf = ({ body }: { body: { entry?: { resource: { id: string } }[]; id?: string } }) =>
  body.entry === undefined
    ? body.id === undefined
      ? []
      : [body.id]
    : body.entry.map(({ resource }) => resource.id).toSorted();

const word = `${category}|vital-signs`;
const own = ["o1-laboratory", "o1-performed", "o1-vital-signs"];
/** The kind of the token, its scopes, the question, and the ids of the answer, sorted. */
const cases: readonly (readonly [AskerKind, string, string, readonly string[]])[] = [
  // SMART 2 scopes with conditions
  ["patient", `patient/Observation.rs?category=${word}`, "Observation", ["o1-vital-signs"]],
  ["patient", `patient/*.cruds?category=${word}`, "Observation", ["o1-vital-signs"]],
  ["patient", `patient/Observation.rs?category=${word}`, "Observation/o1-vital-signs", ["o1-vital-signs"]],
  ["patient", "patient/Observation.rs?code=http://loinc.org|code-1", "Observation", ["o1-laboratory"]],
  ["patient", "patient/Observation.rs?_tag=urn:tags|t2", "Observation", ["o1-laboratory"]],
  ["patient", "patient/Observation.s?_id=o1-laboratory", "Observation", ["o1-laboratory"]],
  ["patient", "patient/Observation.rs?date=ge2026-02-01", "Observation", ["o1-laboratory"]],
  ["patient", "patient/Observation.rs?status=final", "Observation", own],
  [
    "patient",
    "patient/Observation.rs?encounter=Encounter/e1",
    "Observation",
    ["o1-laboratory", "o1-vital-signs"],
  ],
  [
    "patient",
    `patient/Observation.rs?category=${word} patient/Observation.rs?code=http://loinc.org|code-1`,
    "Observation",
    ["o1-laboratory", "o1-vital-signs"],
  ],
  [
    "system",
    "system/Observation.rs?code=http://loinc.org|code-1",
    "Observation",
    ["o1-laboratory", "o2-laboratory"],
  ],
  ["user", `user/Observation.rs?category=${word}`, "Observation", ["o1-vital-signs", "o2-vital-signs"]],
  ["patient", "patient/Patient.rs?name=ann patient/Observation.rs", "Patient", ["ann"]],
  ["patient", "patient/Patient.rs?gender=male patient/Observation.rs", "Observation", own],
  ["system", "system/Patient.rs?name=ben", "Patient", ["ben"]],
  ["patient", "patient/Condition.rs?clinical-status=active", "Condition", ["c1"]],
  // scope words of no resource, and of version 1
  [
    "patient",
    "openid email profile launch/practitioner need_patient_banner patient/*.rs",
    "Observation",
    own,
  ],
  ["patient", "launch/patient offline_access fhirUser patient/*.read", "Patient/ann", ["ann"]],
  ["patient", "patient/Observation.read patient/Patient.read user/*.read", "Observation", own],
  ["patient", "patient/Observation.* fhirUser", "Observation", own],
  ["patient", "patient/Observation.rs?nonsense=1 patient/Patient.rs", "Patient", ["ann"]],
  ["patient", "patient/Observation.rs?code:in=http://x patient/Patient.rs", "Patient", ["ann"]],
  // participants, includes, chains
  ["patient", "patient/*.rs", "Observation?performer=Patient/ann", ["o1-performed"]],
  ["patient", "patient/*.rs", "Observation?patient=ann", ["o1-laboratory", "o1-vital-signs"]],
  [
    "patient",
    "patient/*.rs",
    "Observation?_include=Observation:encounter&code=code-1",
    ["e1", "o1-laboratory"],
  ],
  [
    "patient",
    "patient/*.rs",
    "Observation?_include=Observation:subject&code=code-1",
    ["ann", "o1-laboratory"],
  ],
  [
    "patient",
    "patient/*.rs",
    "Observation?_include=Observation:performer&code=code-1",
    ["o1-laboratory", "vera"],
  ],
  [
    "patient",
    "patient/Patient.rs patient/Observation.rs",
    "Patient?_revinclude=Observation:subject",
    ["ann", "o1-laboratory", "o1-vital-signs"],
  ],
  ["patient", "patient/Patient.rs", "Patient?_revinclude=Provenance:target", ["ann"]],
  ["patient", "patient/*.rs", "Observation?subject:Patient.name=ann", ["o1-laboratory", "o1-vital-signs"]],
  ["patient", "patient/*.rs", "Observation?patient.name=ben", []],
  ["system", "system/*.rs", "Patient?_has:Observation:patient:code=code-1", ["ann", "ben"]],
  ["system", "system/*.rs", "Encounter?_has:Observation:encounter:code=code-1&patient=ann", ["e1"]],
  [
    "system",
    "system/*.rs",
    "Observation?patient._has:Condition:patient:code=c&code=code-1",
    ["o1-laboratory", "o2-laboratory"],
  ],
  ["patient", "patient/*.rs", "Condition?subject=Patient/ann", ["c1"]],
  ["patient", "patient/*.rs", "Condition?subject=ann", ["c1"]],
  ["patient", "patient/*.rs", "Condition?subject:Patient=ann", ["c1"]],
  ["patient", "patient/*.rs", "Patient/ann/Condition", ["c1"]],
  ["user", "user/*.rs", "Patient", ["ann", "ben"]],
  ["user", "user/*.rs", "Patient?_id=ann", ["ann"]],
  // composites, filtered paths, and other parameters
  [
    "patient",
    "patient/*.rs",
    "Observation?code-value-quantity=http://loinc.org|code-1$gt5",
    ["o1-laboratory"],
  ],
  [
    "patient",
    "patient/*.rs",
    "Observation?combo-code-value-quantity=http://loinc.org|code-1$gt5",
    ["o1-laboratory"],
  ],
  ["patient", "patient/*.rs", "Observation?code-value-quantity=code-1$6", ["o1-laboratory"]],
  ["patient", "patient/*.rs", "Patient?deceased=false", ["ann"]],
  ["patient", "patient/*.rs", "Patient?_tag=urn:tags|t1", ["ann"]],
  ["patient", "patient/*.rs", "Observation?category:not=laboratory&patient=ann", ["o1-vital-signs"]],
  ["patient", "patient/*.rs", "Observation?_tag:not=urn:tags|t2&patient=ann", ["o1-vital-signs"]],
  ["patient", "patient/*.rs", "Observation?_tag:missing=true", ["o1-performed"]],
  ["patient", "patient/*.rs", "Observation?_elements=status&code=code-1", ["o1-laboratory"]],
  ["patient", "patient/*.rs", "Patient/ann?_summary=true", ["ann"]],
  ["patient", "patient/*.rs", "Patient/ann?_summary=text", ["ann"]],
  ["patient", "patient/*.rs", "Observation?_summary=true&code=code-1", ["o1-laboratory"]],
  ["patient", "patient/*.rs", "Observation?_summary=data&_sort=date", own],
  ["system", "system/*.rs", "Observation?_summary=text&code=code-1", ["o1-laboratory", "o2-laboratory"]],
  ["patient", "patient/*.rs", "Observation?_summary=count", []],
  ["patient", "patient/*.rs", "Observation?_count=0", []],
  ["patient", "patient/*.rs", "Observation?_total=estimate", own],
  ["patient", "patient/*.rs", "Observation?_contained=false", own],
  ["patient", "patient/*.rs", "metadata?mode=full&_summary=true", []],
  // types that all patients share: the resources to which visible rows refer
  ["patient", "patient/*.rs", "Practitioner", ["vera"]],
  ["patient", "patient/*.rs", "Practitioner?name=vera", ["vera"]],
  ["patient", "patient/*.rs", "Practitioner?_id=vera", ["vera"]],
  ["patient", "patient/Practitioner.rs patient/Observation.rs", "Practitioner?name=vera", ["vera"]],
  ["patient", "patient/*.rs", "Practitioner?name=zed", []],
  ["patient", "patient/*.rs", "Organization?name=x", []],
  ["patient", "patient/*.rs", "Medication?code=x", []],
  ["patient", "patient/*.rs", "Location", []],
  ["patient", "patient/*.rs", "Questionnaire", []],
  ["patient", "patient/*.rs", "ValueSet?url=urn:v", []],
  ["user", "user/*.rs", "Practitioner?name=vera&_summary=data", ["vera"]],
  ["patient", "patient/*.rs", "Patient?general-practitioner:Practitioner.name=vera", ["ann"]],
  [
    "patient",
    "patient/*.rs",
    "Observation?performer:Practitioner.name=vera",
    ["o1-laboratory", "o1-vital-signs"],
  ],
  ["patient", "patient/*.rs", "MedicationRequest?medication:Medication.code=x", []],
  // devices and provenance
  ["patient", "patient/*.rs", "Device?patient=ann", ["d1"]],
  ["patient", "patient/*.rs", "Device?patient=Patient/ann", ["d1"]],
  ["patient", "patient/*.rs", "Device?patient=ann&type=implant", ["d1"]],
  ["patient", "patient/*.rs", "Device", ["d1"]],
  ["patient", "patient/Device.rs", "Device/d1", ["d1"]],
  ["patient", "patient/*.rs", "Device/shared", ["shared"]],
  ["user", "user/*.rs", "Device?patient=ben", ["d2"]],
  ["patient", "patient/*.rs", "Provenance/pr1", ["pr1"]],
  ["patient", "patient/*.rs", "Provenance/prs1", ["prs1"]],
  ["user", "user/*.rs", "Provenance/pr-both", ["pr-both"]],
  ["patient", "patient/*.rs", "Provenance", ["pr1"]],
  ["patient", "patient/*.rs", "Provenance?target=Observation/o1-vital-signs", ["prs1"]],
  ["patient", "patient/*.rs", "Provenance?target=Observation/o1-laboratory", ["pr1"]],
  ["user", "user/*.rs", "Provenance?target=Observation/o1-laboratory", ["pr-both", "pr1"]],
  ["patient", "patient/*.rs", "Condition?_revinclude=Provenance:target", ["c1", "pr1"]],
  [
    "patient",
    "patient/*.rs",
    "Observation?code=code-0&_revinclude=Provenance:target",
    ["o1-vital-signs", "prs1"],
  ],
  [
    "patient",
    "patient/*.rs",
    "Observation?code=code-1&_revinclude=Provenance:target",
    ["o1-laboratory", "pr1"],
  ],
  ["system", "system/*.rs", "Provenance?target=Observation/o1-laboratory", ["pr-both", "pr1"]],
];

test.for(cases)("%s %s: %s", async ([kind, scope, path, ids], { expect }) => {
  const reply = await ask(kind, scope, path.replaceAll("|", "%7C"));
  expect(reply.status, reply.text).toBe(200);
  expect(idsOf(reply)).toEqual(ids);
});

const parameters = (...parameter: object[]) => JSON.stringify({ resourceType: "Parameters", parameter });
const form = "application/x-www-form-urlencoded";
/** Method, path, headers, body, and the status of the answer. */
const forms: readonly (readonly [
  string,
  string,
  Readonly<Record<string, string>>,
  string | undefined,
  number,
])[] = [
  // media types
  ...[
    "application/fhir+json",
    "application/fhir+json; charset=utf-8",
    "application/fhir+json;fhirVersion=4.0",
    "application/fhir+json; fhirVersion=4.0; charset=UTF-8",
    "application/json",
    "application/json; charset=utf-8",
    "text/json",
    "application/*",
    "*/*",
    "text/html,application/xhtml+xml,*/*;q=0.8",
    "application/fhir+xml;q=0.5, application/fhir+json",
  ].map((accept) => ["GET", "Patient/ann", { accept }, undefined, 200] as const),
  ...["json", "application/json", "application/fhir%2Bjson", "application/fhir+json", "text/json"].map(
    (format) => ["GET", `Observation?_format=${format}&_pretty=true`, {}, undefined, 200] as const,
  ),
  // preferences, conditions and headers of stock clients
  ...[
    { prefer: "handling=lenient" },
    { prefer: "handling=strict" },
    { prefer: "return=minimal" },
    { prefer: "respond-async, handling=lenient" },
    { "if-none-match": 'W/"1"' },
    { "if-modified-since": "Fri, 27 Nov 2020 00:00:00 GMT" },
    { "cache-control": "no-cache", "accept-language": "de", "accept-encoding": "gzip" },
  ].map((headers) => ["GET", "Patient/ann", headers, undefined, 200] as const),
  ["GET", "Patient/ann", { "if-none-match": "*" }, undefined, 304],
  ["HEAD", "Patient/ann", {}, undefined, 200],
  ["HEAD", "Observation?code=code-1", {}, undefined, 200],
  // searches that are posted, in a compartment, or by criteria of each type
  ["POST", "Observation/_search", { "content-type": form }, "code=code-1", 200],
  [
    "POST",
    "Observation/_search?code=code-1",
    { "content-type": `${form};charset=utf-8` },
    "status=final",
    200,
  ],
  ["POST", "Patient/ann/Observation/_search", { "content-type": form }, "code=code-1", 200],
  ...[
    "Patient/ann/Observation?date=ge2026-01-01&date=lt2026-02-01",
    "Observation?date=sa2026-01-15,eb2026-01-15",
    "Observation?date=ne2026-01-01",
    "Observation?date=ap2026-01-01",
    "Observation?code=http://loinc.org%7Ccode-1,http://loinc.org%7C",
    "Observation?code=%7Ccode-1",
    "Observation?_id=o1-laboratory,o1-vital-signs,none",
    "Observation?_lastUpdated=gt2020-01-01&_lastUpdated=le2030-01-01",
    "Observation?_sort=status,-date",
    "Observation?encounter:missing=true",
    "Observation?code:not=code-1",
    "Observation?value-quantity=gt4%7Chttp://unitsofmeasure.org%7Cmg",
    "Observation?_include=*",
    "Observation?_include:iterate=Patient:general-practitioner&_include=Observation:patient",
    "Patient?_revinclude:iterate=Provenance:target",
    "Patient?_has:Observation:patient:_has:Provenance:target:recorded=gt2020",
    "Patient?name:exact=ann",
    "Patient?name:contains=nn",
    "Observation?_count=5000",
    "Observation?_total=none",
    // versions and listings
    "Patient/ann/_history",
    "Patient/ann/_history?_count=1&_since=2020-01-01T00:00:00Z",
    "Patient/ann/$everything?_type=Observation,Condition&start=2020-01-01&_count=2",
    "Observation/$lastn?patient=ann&category=vital-signs&max=1",
  ].map((path) => ["GET", path, {}, undefined, 200] as const),
  // an operation that is posted, as clients do by default
  ["POST", "Patient/ann/$everything", {}, undefined, 200],
  ["POST", "Patient/ann/$everything", fhirJson, parameters(), 200],
  [
    "POST",
    "Patient/ann/$everything?_count=5",
    fhirJson,
    parameters({ name: "_type", valueCode: "Condition" }, { name: "start", valueDate: "2020-01-01" }),
    200,
  ],
  ["POST", "Patient/ann/$everything", fhirJson, parameters({ name: "_count", valueInteger: 3 }), 200],
  ["POST", "Patient/ben/$everything", fhirJson, parameters(), 404],
  ["POST", "Patient/ann/$everything", fhirJson, parameters({ name: "x", valueString: "y" }), 400],
  ["POST", "Patient/ann/$everything", fhirJson, parameters({ name: "start", part: [] }), 400],
  ["POST", "Patient/ann/$everything", fhirJson, "{}", 400],
  ["POST", "Patient/ann/$everything", { "content-type": "text/plain" }, "start=2020", 415],
  [
    "POST",
    "Patient/ann/$everything?_count=5",
    fhirJson,
    parameters({ name: "_count", valueInteger: 3 }),
    400,
  ],
];
test.for(forms)("%s %s %o %s", async ([method, path, headers, body, status], { expect }) => {
  const reply = await ask("patient", "patient/*.rs", path, {
    method,
    headers,
    ...(body !== undefined && { body }),
  });
  expect(reply.status, reply.text).toBe(status);
  expect(reply.text).not.toContain('"Patient/ben"');
});

test("a posted $everything has the entries of its GET, within its parameters", async ({ expect }) => {
  const entriesOf = async (path: string, sending: Sending) =>
    idsOf(await ask("patient", "patient/*.rs", path, sending));
  const body = parameters({ name: "_type", valueCode: "Condition" });
  const posted = await entriesOf("Patient/ann/$everything", { method: "POST", headers: fhirJson, body });
  expect(posted).toEqual(await entriesOf("Patient/ann/$everything?_type=Condition", { method: "GET" }));
  expect(posted).toContain("c1");
  expect(posted).not.toContain("o1-laboratory");
});

const refusals: readonly (readonly [AskerKind, string, string])[] = [
  ["patient", "patient/*.rs", "Device/d2"],
  ["patient", "patient/*.rs", "Provenance/pr2"],
  ["patient", "patient/*.rs", "Provenance/pr-both"],
  ["patient", "patient/Provenance.rs", "Provenance/pr1"],
  ["patient", `patient/Provenance.rs patient/Observation.rs?category=${word}`, "Provenance/pr1"],
];
test.for(refusals)("not permitted: %s %s: %s", async ([kind, scope, path], { expect }) => {
  expect((await ask(kind, scope, path.replaceAll("|", "%7C"))).status).toBe(404);
});

test("an unknown operation is 400 by its name", async ({ expect }) => {
  for (const [method, path] of [
    ["GET", "Patient/ann/$graph"],
    ["POST", "Patient/$match"],
    ["GET", "$export"],
  ] as const) {
    const { status, text } = await ask("patient", "patient/*.rs", path, { method });
    expect([status, text], path).toEqual([400, expect.stringContaining(`(${path.replace(/.*\$/u, "$")})`)]);
  }
});

const writes: readonly (readonly [string, string, object | undefined, string, number])[] = [
  [
    "POST",
    "Observation",
    { resourceType: "Observation", status: "final", code: { text: "x" }, subject: to("Patient/ann") },
    "patient/Observation.c",
    201,
  ],
  [
    "POST",
    "Observation",
    {
      resourceType: "Observation",
      status: "final",
      code: { text: "x" },
      category: [coded(category, "vital-signs")],
      subject: to("Patient/ann"),
    },
    `patient/Observation.c?category=${word}`,
    201,
  ],
  [
    "POST",
    "Observation",
    {
      resourceType: "Observation",
      status: "final",
      code: { text: "x" },
      category: [coded(category, "laboratory")],
      subject: to("Patient/ann"),
    },
    `patient/Observation.c?category=${word}`,
    403,
  ],
  [
    "POST",
    "Observation",
    { resourceType: "Observation", status: "final", code: { text: "x" }, subject: to("Patient/ben") },
    "patient/Observation.c",
    403,
  ],
  [
    "PUT",
    "Observation/o1-laboratory",
    {
      resourceType: "Observation",
      id: "o1-laboratory",
      status: "amended",
      code: { text: "x" },
      subject: to("Patient/ann"),
    },
    "patient/Observation.u",
    200,
  ],
  [
    "PUT",
    "Observation/o2-laboratory",
    {
      resourceType: "Observation",
      id: "o2-laboratory",
      status: "amended",
      code: { text: "x" },
      subject: to("Patient/ben"),
    },
    "patient/Observation.u",
    404,
  ],
  ["DELETE", "Encounter/e1", undefined, "patient/Encounter.d", 204],
  ["DELETE", "Encounter/e2", undefined, "patient/Encounter.d", 404],
];
test.for(writes)("%s %s %o under %s", async ([method, path, body, scope, status], { expect }) => {
  const reply = await ask("patient", scope, path, {
    method,
    headers: fhirJson,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  expect(reply.status, reply.text).toBe(status);
});

test("with a Consent on file, rows leave whose further actors are no patients, and rows of an unidentified patient do not", async ({
  expect,
}) => {
  const thp = "http://terminology.hl7.org/CodeSystem/";
  const consent = {
    resourceType: "Consent",
    status: "active",
    patient: to("Patient/ben"),
    dateTime: "2026-11-01",
    scope: coded(`${thp}consentscope`, "patient-privacy"),
    category: [coded(`${thp}v3-ActCode`, "IDSCL")],
    policyRule: coded(`${thp}v3-ActCode`, "OPTIN"),
    provision: { type: "deny" },
  };
  const read = async (rows: readonly object[], place: string) =>
    Promise.all(
      stored(rows, place).map(
        async ({ resourceType, id }) => (await ask("system", "system/*.rs", `${resourceType}/${id}`)).status,
      ),
    );
  expect(await read(throughEncounter, "through")).toEqual([200, 200]);
  const filed = await ask("system", "system/*.cruds", "Consent", {
    method: "POST",
    headers: fhirJson,
    body: JSON.stringify(consent),
  });
  expect(filed.status, filed.text).toBe(201);
  await expect.poll(() => read(throughEncounter, "through"), { timeout: 10_000 }).toEqual([404, 404]);
  expect(await read(withActors, "actors")).toEqual(withActors.map(() => 200));
});
