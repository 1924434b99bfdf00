import type { Bundle, OperationOutcome, Resource } from "@medplum/fhirtypes";
import { afterAll, test } from "vitest";
import { startOrigin } from "../../../sandbox/origin/server.ts";
import { syntheticResources } from "../../../sandbox/synthetic/generate.ts";
import { fhirSending } from "../../support/fhir-parts.ts";

const origin = await startOrigin();
afterAll(() => origin.close());

const to = (reference: string) => ({ reference });
const final = { status: "final", code: { text: "x" } };
const stored: object[] = [
  {
    resourceType: "Observation",
    id: "old",
    ...final,
    subject: to("Patient/ann"),
    effectiveDateTime: "2019-06-01",
    meta: { lastUpdated: "2019-06-01T00:00:00Z" },
  },
  {
    resourceType: "Observation",
    id: "new",
    ...final,
    subject: to("Patient/ann"),
    effectiveDateTime: "2024-06-01",
    performer: [to("PractitionerRole/role")],
  },
  {
    resourceType: "Observation",
    id: "bens",
    ...final,
    subject: to("Patient/ben"),
    performer: [to("Practitioner/bens")],
  },
  {
    resourceType: "Observation",
    id: "by-ann",
    ...final,
    subject: to("Patient/ben"),
    performer: [to(`${origin.url}/Patient/ann`)],
  }, // a participant
  {
    resourceType: "Observation",
    id: "about-ann",
    ...final,
    subject: to("Patient/ben"),
    focus: [to("Patient/ann")],
  }, // a mention is not membership
  {
    resourceType: "Encounter",
    id: "stay",
    status: "in-progress",
    class: { code: "IMP" },
    subject: to("Patient/ann"),
    period: { start: "2020-01-01" },
    location: [{ location: to("Location/ward") }],
  },
  {
    resourceType: "MedicationRequest",
    id: "rx",
    status: "active",
    intent: "order",
    subject: to("Patient/ann"),
    medicationReference: to("Medication/pill"),
    authoredOn: "2024-01-01",
  },
  {
    resourceType: "Patient",
    id: "ann",
    managingOrganization: to("Organization/home"),
    link: [{ type: "seealso", other: to("Patient/ben") }],
  },
  { resourceType: "Patient", id: "ben" },
  {
    resourceType: "PractitionerRole",
    id: "role",
    practitioner: to("Practitioner/doc"),
    organization: to("Organization/clinic"),
  },
  { resourceType: "Practitioner", id: "doc" },
  { resourceType: "Practitioner", id: "bens" },
  { resourceType: "Organization", id: "clinic" },
  { resourceType: "Organization", id: "home" },
  { resourceType: "Location", id: "ward" },
  { resourceType: "Medication", id: "pill" },
];
await origin.load(stored as Resource[]); // each of them a resource

const all = [
  "Patient/ann",
  "Observation/old",
  "Observation/new",
  "Observation/by-ann",
  "Encounter/stay",
  "MedicationRequest/rx",
];
const shared = [
  "Organization/home",
  "Organization/clinic",
  "PractitionerRole/role",
  "Practitioner/doc",
  "Location/ward",
  "Medication/pill",
];

async function everything(
  query: string,
  init?: RequestInit,
): Promise<{ readonly bundle: Bundle; readonly names: readonly string[] }> {
  const bundle: Bundle = await (await fetch(`${origin.url}/${query}`, init)).json();
  return {
    bundle,
    names: (bundle.entry ?? []).map(({ resource }) => `${resource?.resourceType}/${resource?.id}`),
  };
}

test("$everything of a patient is its compartment and the targets of its references, the patient first", async ({
  expect,
}) => {
  const { bundle, names } = await everything("Patient/ann/$everything?_count=100");
  expect(bundle).toMatchObject({
    type: "searchset",
    total: 12,
    link: [{ relation: "self", url: `${origin.url}/Patient/ann/$everything?_count=100` }],
  });
  expect(names[0]).toBe("Patient/ann");
  expect(new Set(names)).toEqual(new Set([...all, ...shared]));
  expect(bundle.entry?.[0]).toMatchObject({
    fullUrl: `${origin.url}/Patient/ann`,
    search: { mode: "match" },
  });
});

test("a time of care, a time of change and types narrow it; undated records stay", async ({ expect }) => {
  const own = async (query: string) =>
    (await everything(`Patient/ann/$everything?_count=100&${query}`)).names.filter((name) =>
      all.includes(name),
    );
  expect(new Set(await own("start=2024"))).toEqual(new Set(all.filter((name) => name !== "Observation/old"))); // the stay goes on
  expect(new Set(await own("end=2019-12"))).toEqual(
    new Set(["Patient/ann", "Observation/old", "Observation/by-ann"]),
  );
  expect(await own("_since=2019-06-02T00:00:00Z")).not.toContain("Observation/old");
  expect(
    (await everything("Patient/ann/$everything?_type=Observation,Practitioner")).names.toSorted(),
  ).toEqual(["Observation/by-ann", "Observation/new", "Observation/old", "Practitioner/doc"]);
});

test("$everything is paged by the links of a search, and also takes a POST with Parameters", async ({
  expect,
}) => {
  const first = await everything(
    "Patient/ann/$everything",
    fhirSending("POST", {
      resourceType: "Parameters",
      parameter: [
        { name: "_count", valueInteger: 5 },
        { name: "start", valueDate: "2024-01-01" },
      ],
    }),
  );
  const names = [...first.names];
  for (let next = link(first.bundle); next !== undefined;) {
    const page: Bundle = await (await fetch(next)).json();
    expect(page.total).toBe(11);
    names.push(...(page.entry ?? []).map(({ resource }) => `${resource?.resourceType}/${resource?.id}`));
    next = link(page);
  }
  expect(first.names).toHaveLength(5);
  expect(new Set(names)).toEqual(new Set([...all, ...shared].filter((name) => name !== "Observation/old")));
});

const link = (bundle: Bundle) => bundle.link?.find(({ relation }) => relation === "next")?.url;

test("$everything is refused for all patients, an unknown patient, a different type, and unknown parameters", async ({
  expect,
}) => {
  for (const [path, status] of [
    ["Patient/$everything", 400],
    ["Patient/nobody/$everything", 404],
    ["Observation/old/$everything", 404],
    ["Patient/ann/$everything?colour=red", 400],
    ["Patient/ann/$everything?start=soon", 400],
    ["Patient/ann/$everything?_type=Dragon", 400],
  ] as const) {
    const response = await fetch(`${origin.url}/${path}`);
    const outcome: OperationOutcome = await response.json();
    expect([response.status, outcome.resourceType], path).toEqual([status, "OperationOutcome"]);
  }
});

test("$everything of each synthetic patient returns its referrers and targets, and no second patient", async ({
  expect,
}) => {
  const synthetic = await startOrigin();
  const resources = syntheticResources();
  await synthetic.load(resources);
  const patients = resources.filter(({ resourceType }) => resourceType === "Patient");
  for (const { id } of patients) {
    const bundle: Bundle = await (
      await fetch(`${synthetic.url}/Patient/${id}/$everything?_count=1000`)
    ).json();
    const found = (bundle.entry ?? []).flatMap(({ resource }) => resource ?? []);
    expect(
      found.filter(({ resourceType }) => resourceType === "Patient").map((patient) => patient.id),
    ).toEqual([id]);
    expect(found.length).toBeGreaterThan(5);
    const others = found
      .filter((resource) => !JSON.stringify(resource).includes(`"Patient/${id}"`))
      .map(({ resourceType }) => resourceType);
    expect([
      "Organization",
      "Practitioner",
      "PractitionerRole",
      "Location",
      "Medication",
      "Device",
      "Patient",
    ]).toEqual(expect.arrayContaining(others));
  }
  await synthetic.close();
});
