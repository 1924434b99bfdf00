import type { Bundle, OperationOutcome, Resource } from "@medplum/fhirtypes";
import { Client } from "fhir-kit-client";
import { afterAll, test } from "vitest";
import { startOrigin } from "../../../sandbox/origin/server.ts";
import { fhirSending } from "../../support/fhir-parts.ts";

const origin = await startOrigin();
afterAll(() => origin.close());

const to = (reference: string) => ({ reference });
const coded = (code: string) => ({ coding: [{ system: "http://loinc.org", code }] });
const observation = (id: string, patient: string, code: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: coded(code),
  subject: to(`Patient/${patient}`),
  ...more,
});
const world: object[] = [
  { resourceType: "Organization", id: "trust", name: "Trust" },
  { resourceType: "Organization", id: "clinic", name: "Clinic", partOf: to("Organization/trust") },
  { resourceType: "Organization", id: "maker", name: "Maker" },
  { resourceType: "Practitioner", id: "doc", name: [{ family: "Doe" }] },
  {
    resourceType: "PractitionerRole",
    id: "role",
    practitioner: to("Practitioner/doc"),
    organization: to("Organization/clinic"),
  },
  {
    resourceType: "Patient",
    id: "ann",
    name: [{ family: "Arbor" }],
    gender: "female",
    birthDate: "1980-01-01",
    managingOrganization: to("Organization/clinic"),
    generalPractitioner: [to("Practitioner/doc")],
  },
  {
    resourceType: "Patient",
    id: "ben",
    name: [{ family: "Birch" }],
    gender: "male",
    managingOrganization: to("Organization/trust"),
  },
  {
    resourceType: "Patient",
    id: "cy",
    name: [{ family: "Cedar" }],
    link: [{ type: "seealso", other: to("Patient/ann") }],
  },
  { resourceType: "Device", id: "meter", patient: to("Patient/ann") },
  {
    resourceType: "Encounter",
    id: "visit",
    status: "finished",
    class: { code: "AMB" },
    subject: to("Patient/ann"),
  },
  observation("sugar", "ann", "2339-0", {
    encounter: to("Encounter/visit"),
    performer: [to("PractitionerRole/role")],
  }),
  observation("height", "ann", "8302-2", {
    subject: to(`${origin.url}/Patient/ann`),
    device: to("Device/meter"),
  }),
  observation("bens", "ben", "2339-0", { performer: [to("Practitioner/doc")] }),
  { ...observation("devices", "ann", "1-1"), subject: to("Device/meter") },
  observation("derived", "ben", "3-3", { derivedFrom: [to("Observation/bens")] }),
  {
    resourceType: "Provenance",
    id: "seal",
    target: [to("Observation/sugar")],
    recorded: "2026-01-01T00:00:00Z",
    agent: [{ who: to("Practitioner/doc") }],
  },
  {
    resourceType: "Group",
    id: "cohort",
    type: "person",
    actual: true,
    member: [{ entity: to("Patient/ann") }],
  },
  { resourceType: "Medication", id: "pill", manufacturer: to("Organization/maker") },
  {
    resourceType: "MedicationRequest",
    id: "rx",
    status: "active",
    intent: "order",
    subject: to("Patient/ann"),
    encounter: to("Encounter/visit"),
    medicationReference: to("Medication/pill"),
  },
];
await origin.load(world as Resource[]); // each of them a resource

async function search(
  query: string,
  init?: RequestInit,
): Promise<{ readonly bundle: Bundle; readonly matches: string[]; readonly included: string[] }> {
  const bundle: Bundle = await (await fetch(`${origin.url}/${query}`, init)).json();
  const named = (mode: string) =>
    (bundle.entry ?? [])
      .filter((entry) => entry.search?.mode === mode)
      .map(({ resource }) => `${resource?.resourceType}/${resource?.id}`);
  return { bundle, matches: named("match").toSorted(), included: named("include").toSorted() };
}
const matches = async (query: string) => (await search(query)).matches.map((place) => place.split("/")[1]);
const status = async (query: string) => (await fetch(`${origin.url}/${query}`)).status;

test("R4 search.html#chaining: a chain matches by the target, over one hop and several, with a type and without", async ({
  expect,
}) => {
  for (const [query, expected] of [
    ["Observation?patient.name=arb", ["height", "sugar"]],
    ["Observation?subject:Patient.name=arb", ["height", "sugar"]],
    ["Observation?subject.name=arb", ["height", "sugar"]], // applies to the types with a name
    ["Observation?subject:Device.patient.gender=female", ["devices"]],
    ["Observation?patient.family:exact=arbor", []],
    ["Observation?patient.gender:not=female", ["bens", "derived"]],
    ["Observation?patient.birthdate:missing=true", ["bens", "derived"]],
    ["Observation?patient.birthdate=lt1990", ["height", "sugar"]],
    ["Observation?patient._id=ben,ann&code=2339-0", ["bens", "sugar"]],
    ["Observation?patient.organization.name=clinic", ["height", "sugar"]],
    ["Observation?patient.organization.partof.name=trust", ["height", "sugar"]],
    ["Observation?patient.organization.partof:Organization.name=maker", []],
    ["Observation?performer:PractitionerRole.practitioner.name=doe", ["sugar"]],
    ["Observation?performer.name=doe", ["bens"]],
    ["Observation?derived-from:Observation.patient.name=birch", ["derived"]],
    [
      "Observation?encounter.subject:Patient.organization:Organization.partof.name=trust&code=2339-0",
      ["sugar"],
    ],
    ["Observation?patient.name=arb&patient.gender=male", []], // all must be met
    ["Observation?patient.link.name=x", []],
    ["Patient?link.name=arb", ["cy"]],
    ["Provenance?target:Observation.patient.name=arb", ["seal"]],
  ] as const)
    expect(await matches(query), query).toEqual(expected);
});

test("R4 search.html#has: _has matches by the referrer, nested and with chains", async ({ expect }) => {
  for (const [query, expected] of [
    ["Patient?_has:Observation:patient:code=2339-0", ["ann", "ben"]],
    ["Patient?_has:Observation:patient:code=http://loinc.org|8302-2", ["ann"]],
    ["Patient?_has:Observation:patient:code=2339-0&_has:Observation:patient:code=8302-2", ["ann"]],
    ["Patient?_has:Observation:patient:code=none", []],
    ["Patient?_has:Observation:patient:_has:Provenance:target:agent=Practitioner/doc", ["ann"]],
    ["Patient?_has:Observation:patient:encounter.class=AMB", ["ann"]],
    ["Patient?_has:Group:member:_id=cohort", ["ann"]],
    ["Patient?_has:Patient:link:name=cedar", ["ann"]],
    ["Patient?_has:Observation:patient:_has:Observation:derived-from:status=final", ["ben"]],
    ["Encounter?patient._has:Group:member:_id=cohort", ["visit"]], // R4's own example
    ["Organization?_has:Patient:organization:_has:Observation:patient:code=8302-2", ["clinic"]],
  ] as const)
    expect(await matches(query), query).toEqual(expected);
});

test("joins answer the same by POST, by fhir-kit-client, and inside a batch", async ({ expect }) => {
  const form = {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "_has:Observation:patient:code=8302-2&_revinclude=Group:member",
  };
  expect(await search("Patient/_search", form)).toMatchObject({
    matches: ["Patient/ann"],
    included: ["Group/cohort"],
  });

  const client = new Client({ baseUrl: origin.url });
  const found = (await client.search({
    resourceType: "Observation",
    searchParams: {
      "patient.organization.name": "clinic",
      _include: ["Observation:patient", "Observation:encounter"],
    },
  })) as unknown as Bundle; // a searchset
  expect(found.total).toBe(2);
  expect(
    found.entry?.filter(({ search: how }) => how?.mode === "include").map(({ resource }) => resource?.id),
  ).toEqual(expect.arrayContaining(["ann", "visit"]));

  const request = { method: "GET", url: "Patient?_has:Observation:patient:code=8302-2" };
  const response: Bundle = await (
    await fetch(
      origin.url,
      fhirSending("POST", { resourceType: "Bundle", type: "batch", entry: [{ request }] }),
    )
  ).json();
  expect(response.entry?.[0]?.resource).toMatchObject({ total: 1 });
});

test("R4 search.html#revinclude: an include returns the target, once, marked as included, and the total counts matches only", async ({
  expect,
}) => {
  const {
    bundle,
    matches: found,
    included,
  } = await search("Observation?code=2339-0&_include=Observation:subject");
  expect([found, included, bundle.total]).toEqual([
    ["Observation/bens", "Observation/sugar"],
    ["Patient/ann", "Patient/ben"],
    2,
  ]);
  expect(bundle.entry?.at(-1)).toMatchObject({
    fullUrl: `${origin.url}/${included.at(-1)}`,
    search: { mode: "include" },
  });
  for (const [query, expected] of [
    // both refer to the same patient
    ["Observation?_id=sugar,height&_include=Observation:patient", ["Patient/ann"]],
    ["Observation?_id=devices,sugar&_include=Observation:subject:Device", ["Device/meter"]],
    ["Observation?_id=derived,bens&_include=Observation:derived-from", []], // is already a match
    ["Observation?_id=sugar&_include=*", ["Encounter/visit", "Patient/ann", "PractitionerRole/role"]],
    [
      "Observation?_id=sugar&_include=Observation:*",
      ["Encounter/visit", "Patient/ann", "PractitionerRole/role"],
    ],
    // the reference's source type is not among the matches
    ["Observation?_id=sugar&_include=Patient:organization", []],
    ["Patient?_id=ann&_revinclude=Observation:patient", ["Observation/height", "Observation/sugar"]],
    ["Patient?_id=ann&_revinclude=Observation:subject:Group", []],
    [
      "Patient?_id=ann&_revinclude=Encounter:patient&_revinclude=Group:member",
      ["Encounter/visit", "Group/cohort"],
    ],
    ["Patient?_id=ann&_revinclude=MedicationRequest:*", ["MedicationRequest/rx"]],
    [
      "Patient?_id=ann&_revinclude=*",
      [
        "Device/meter",
        "Encounter/visit",
        "Group/cohort",
        "MedicationRequest/rx",
        "Observation/height",
        "Observation/sugar",
        "Patient/cy",
      ],
    ],
  ] as const)
    expect((await search(query)).included, query).toEqual(expected);
});

test("R4 search.html#revinclude: only :iterate follows included resources, and it ends at a cycle", async ({
  expect,
}) => {
  const medicine = "MedicationRequest?_id=rx&_include=MedicationRequest:medication";
  expect((await search(`${medicine}&_include=Medication:manufacturer`)).included).toEqual([
    "Medication/pill",
  ]);
  expect((await search(`${medicine}&_include:iterate=Medication:manufacturer`)).included).toEqual([
    "Medication/pill",
    "Organization/maker",
  ]);
  expect(
    (
      await search(
        "Observation?_id=sugar&_include=Observation:patient&_include:iterate=Patient:organization&_include:iterate=Organization:partof",
      )
    ).included,
  ).toEqual(["Organization/clinic", "Organization/trust", "Patient/ann"]);
  expect(
    (await search("Patient?_id=ann&_revinclude=Observation:patient&_revinclude:iterate=Provenance:target"))
      .included,
  ).toContain("Provenance/seal");
  const everything = await search("Provenance?_id=seal&_include:iterate=*&_revinclude:iterate=*");
  expect(everything.matches).toEqual(["Provenance/seal"]);
  expect(everything.included).toHaveLength(world.length - 1); // all of this world hangs together
  expect(new Set(everything.included).size).toBe(everything.included.length);
});

test("each page includes the resources for its own matches", async ({ expect }) => {
  const first = await search("Observation?code=2339-0&_include=Observation:patient&_count=1&_sort=_id");
  expect([first.matches, first.included]).toEqual([["Observation/bens"], ["Patient/ben"]]);
  const next = first.bundle.link?.find(({ relation }) => relation === "next")?.url ?? "";
  const second = await search(
    next.slice(origin.url.length + 1).replace(/^/u, next.startsWith(`${origin.url}?`) ? "?" : ""),
  );
  expect([second.matches, second.included, second.bundle.total]).toEqual([
    ["Observation/sugar"],
    ["Patient/ann"],
    2,
  ]);
});

test("a join with an unknown name is refused, not ignored", async ({ expect }) => {
  for (const query of [
    "Observation?patient.colour=red",
    "Observation?colour.name=red",
    "Observation?code.name=red",
    "Observation?subject:Practitioner.name=doe",
    "Observation?patient.birthdate=soon",
    "Patient?_has:Observation:colour:code=1",
    "Patient?_has:Dragon:patient:code=1",
    "Patient?_has:Observation:patient:colour=1",
    "Observation?_include=Observation",
    "Observation?_include=Observation:code",
    "Observation?_include=Dragon:patient",
    "Observation?_include=Observation:subject:Practitioner",
    "Observation?_revinclude:again=Provenance:target",
    "Observation?focus.focus.focus.focus.name=x", // every type each time
  ])
    expect(await status(query), query).toBe(400);
});

test("Prefer: handling=lenient leaves unknown parameters out of the search and its self link; a bad value stays bad", async ({
  expect,
}) => {
  const lenient = { headers: { prefer: "handling=lenient" } };
  const { bundle } = await search("Observation?colour=red&code=2339-0&subject.colour=red", lenient);
  expect(bundle).toMatchObject({
    total: 2,
    link: [{ relation: "self", url: `${origin.url}/Observation?code=2339-0` }],
  });
  const strict = await fetch(`${origin.url}/Observation?colour=red`, {
    headers: { prefer: "handling=strict" },
  });
  const outcome: OperationOutcome = await strict.json();
  expect([strict.status, outcome.resourceType]).toEqual([400, "OperationOutcome"]);
  expect((await fetch(`${origin.url}/Observation?date=soon`, lenient)).status).toBe(400);
});

test("R4 compartmentdefinition.html: a compartment search finds its resources, of one type or of all, joined and sorted like any search", async ({
  expect,
}) => {
  expect(await matches("Patient/ann/Observation")).toEqual(["height", "sugar"]); // what the meter measured of itself is in nobody's
  expect(await matches("Patient/ann/Observation?encounter.class=AMB")).toEqual(["sugar"]);
  expect(
    (await search("Patient/ann/Observation?_include=Observation:encounter&code=2339-0")).included,
  ).toEqual(["Encounter/visit"]);
  expect((await search("Patient/ann/*")).matches).toEqual([
    "Encounter/visit",
    "Group/cohort",
    "MedicationRequest/rx",
    "Observation/height",
    "Observation/sugar",
    "Patient/ann",
    "Patient/cy",
  ]);
  expect(
    (await search("Patient/ann/*?_type=Observation,Group&_sort=-_id")).bundle.entry?.map(
      ({ resource }) => resource?.id,
    ),
  ).toEqual(["sugar", "height", "cohort"]);
  expect(await matches("Patient/nobody/Observation")).toEqual([]);
  const form = {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "code=8302-2",
  };
  expect((await search("Patient/ann/Observation/_search", form)).matches).toEqual(["Observation/height"]);
});

test("R4 search.html: several types are searched by their common parameters", async ({ expect }) => {
  expect((await search("?_type=Patient,Device&_id=ann,meter,doc")).matches).toEqual([
    "Device/meter",
    "Patient/ann",
  ]);
  expect(await status("?_type=Patient,Device&gender=male")).toBe(400);
});

test("a page never has more than ten thousand included resources, and reports when there are more", async ({
  expect,
}) => {
  const crowd = await startOrigin();
  await crowd.load(
    [
      { resourceType: "Patient", id: "crowd" },
      ...Array.from({ length: 10_005 }, (_, i) => observation(`crowd-${i}`, "crowd", "1-1")),
    ] as Resource[], // each of them is a resource
  );
  const { total, entry = [] }: Bundle = await (
    await fetch(`${crowd.url}/Patient?_revinclude=Observation:patient`)
  ).json();
  const modes = Map.groupBy(entry, ({ search: how }) => how?.mode);
  expect([total, modes.get("match")?.length, modes.get("include")?.length]).toEqual([1, 1, 10_000]);
  expect(modes.get("outcome")?.[0]?.resource).toMatchObject({
    issue: [{ severity: "warning", code: "incomplete" }],
  });
  await crowd.close();
});
