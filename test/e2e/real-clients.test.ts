import { readFileSync } from "node:fs";
import { Client, type FhirResource } from "fhir-kit-client";
import { Agent } from "undici";
import { afterAll, beforeAll, test } from "vitest";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

// fhir-kit-client as npm has it. It is given the same as any client: a certificate, a token and the FHIR
// base.
let phylax: TestStack;
let dispatcher: Agent;
let client: Client;
beforeAll(async () => {
  phylax = await sharedTestStack();
  const { cert, key } = phylax.client("telehealth");
  dispatcher = new Agent({
    connect: { ca: readFileSync(phylax.dev.ca), cert: readFileSync(cert), key: readFileSync(key) },
  });
  client = new Client({
    baseUrl: phylax.dev.fhir,
    bearerToken: await phylax.token("telehealth"),
    requestOptions: { dispatcher }, // Node's fetch accepts it (undici)
  });
}, 60_000);
afterAll(async () => {
  await dispatcher.close();
  await phylax.close();
});

type Bundle = FhirResource & {
  link: { relation: string; url: string }[];
  entry?: { fullUrl: string; resource: FhirResource }[];
};
const ids = ({ entry = [] }: Bundle) => entry.map(({ resource }) => resource["id"]);

test("it discovers the token endpoint, in the capabilities and in SMART's document alike", async ({
  expect,
}) => {
  // the faster of the two documents
  expect((await client.smartAuthMetadata()).tokenUrl?.href).toBe(phylax.dev.tokenEndpoint);
  const statement = await client.capabilityStatement();
  expect(statement).toMatchObject({ resourceType: "CapabilityStatement", fhirVersion: "4.0.1" });
  expect(JSON.stringify(statement)).toContain(`{"url":"token","valueUri":"${phylax.dev.tokenEndpoint}"}`);
  expect(await client.request(".well-known/smart-configuration")).toMatchObject({
    token_endpoint: phylax.dev.tokenEndpoint,
  });
});

test("it reads, and follows a reference of the read resource", async ({ expect }) => {
  const patient = await client.read({ resourceType: "Patient", id: "amara-okafor" });
  expect(patient).toMatchObject({ resourceType: "Patient", id: "amara-okafor" });
  const { entry = [] } = (await client.search({
    resourceType: "Observation",
    searchParams: { patient: "amara-okafor" },
  })) as Bundle;
  const observation = entry[0]?.resource ?? patient;
  const { subject } = observation as unknown as { subject: { reference: string } };
  expect(await client.resolve({ reference: subject.reference, context: observation })).toMatchObject({
    resourceType: "Patient",
  });
});

test("it is answered in the media type that it asks for", async ({ expect }) => {
  for (const accept of ["application/json", "application/fhir+json"]) {
    const read = await client.read({
      resourceType: "Patient",
      id: "amara-okafor",
      options: { headers: { accept } },
    });
    expect(Client.httpFor(read).response?.headers.get("content-type")).toBe(`${accept}; charset=utf-8`);
  }
});

test("it reads an earlier version", async ({ expect }) => {
  const { meta } = (await client.read({ resourceType: "Patient", id: "amara-okafor" })) as FhirResource & {
    meta: { versionId: string };
  };
  const version = await client.vread({
    resourceType: "Patient",
    id: "amara-okafor",
    version: meta.versionId,
  });
  expect(version).toMatchObject({
    resourceType: "Patient",
    id: "amara-okafor",
    meta: { versionId: meta.versionId },
  });
});

test("it searches by GET and by POST, with the same answer", async ({ expect }) => {
  const search = { resourceType: "Observation", searchParams: { patient: "amara-okafor", _sort: "-date" } };
  const got = (await client.search(search)) as Bundle;
  const posted = (await client.search({ ...search, options: { postSearch: true } })) as Bundle;
  expect(ids(got).length).toBeGreaterThan(5);
  expect(ids(posted)).toEqual(ids(got));
  expect(phylax.forwarded).toContain("POST /fhir/Observation/_search");
});

test("it pages from the first page to the last, and every row comes once", async ({ expect }) => {
  const searchParams = { patient: "amara-okafor", _sort: "date" };
  const whole = ids((await client.search({ resourceType: "Observation", searchParams })) as Bundle);
  let page = (await client.search({
    resourceType: "Observation",
    searchParams: { ...searchParams, _count: 4 },
  })) as Bundle;
  const paged = ids(page);
  let pages = 1;
  for (; ; pages++) {
    const next = await client.nextPage({ bundle: page });
    if (next === undefined) break;
    page = next as Bundle;
    expect(ids(page).length).toBeGreaterThan(0);
    paged.push(...ids(page));
  }
  expect(pages).toBe(Math.ceil(whole.length / 4));
  expect(paged).toEqual(whole);
});

test("it reads histories, compartments, everything about a patient and the gateway's capabilities in its own way", async ({
  expect,
}) => {
  const patient = { resourceType: "Patient", id: "amara-okafor" };
  const everything = (await client.operation({ ...patient, name: "$everything", method: "GET" })) as Bundle;
  expect(ids(everything)).toContain("amara-okafor");
  const found = (await client.compartmentSearch({
    resourceType: "Condition",
    compartment: patient,
  })) as Bundle;
  const searched = (await client.search({
    resourceType: "Condition",
    searchParams: { patient: "amara-okafor" },
  })) as Bundle;
  expect(ids(found)).toEqual(ids(searched));
  expect(await client.history(patient)).toMatchObject({ resourceType: "Bundle", type: "history" });
  expect(await client.capabilityStatement()).toMatchObject({
    resourceType: "CapabilityStatement",
    rest: [{ mode: "server" }],
  });
});

test("it gets refusals in the form that it expects", async ({ expect }) => {
  const refused = async (call: Promise<unknown>): Promise<{ status: number; data: unknown }> =>
    call.then(
      () => expect.fail("it was answered"),
      (error: { response: { status: number; data: unknown } }) => error.response,
    );
  const calls = [
    client.read({ resourceType: "Patient", id: "nobody" }),
    client.search({ resourceType: "Observation", searchParams: { colour: "red" } }),
    client.create({ resourceType: "Patient", body: { resourceType: "Patient" } }),
    client.operation({ name: "$graph", resourceType: "Patient", id: "amara-okafor", method: "GET" }),
  ];
  const answers = await Promise.all(calls.map(refused));
  for (const { status, data } of answers) {
    expect(data).toMatchObject({ resourceType: "OperationOutcome" });
    expect([400, 403, 404], String(status)).toContain(status);
  }
});
