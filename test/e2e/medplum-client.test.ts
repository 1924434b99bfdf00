import { readFileSync } from "node:fs";
import { MedplumClient } from "@medplum/core";
import { Agent } from "undici";
import { afterAll, beforeAll, test } from "vitest";
import { to } from "../support/fhir-parts.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

// @medplum/core as npm has it, over TLS with a client certificate. test/door/uploads has what its requests do.

let phylax: TestStack;
let dispatcher: Agent;
let client: MedplumClient;
beforeAll(async () => {
  phylax = await sharedTestStack();
  const { cert, key } = phylax.client("charting");
  dispatcher = new Agent({
    connect: { ca: readFileSync(phylax.dev.ca), cert: readFileSync(cert), key: readFileSync(key) },
  });
  client = new MedplumClient({
    baseUrl: phylax.dev.fhir.replace(/v1\/fhir\/main$/u, ""),
    fhirUrlPath: "v1/fhir/main",
    // Node's fetch accepts it (undici)
    fetch: (url: string, init?: RequestInit) => fetch(url, { ...init, dispatcher } as RequestInit),
    accessToken: await phylax.token("charting"),
    logLevel: "none",
  });
}, 60_000);
afterAll(async () => {
  await dispatcher.close();
  await phylax.close();
});

test("@medplum/core writes a note and its content, and reads everything about the patient", async ({
  expect,
}) => {
  const document = await client.createDocumentReference({
    data: "the note",
    contentType: "text/plain",
    additionalFields: { subject: to("Patient/amara-okafor") },
  });
  const securityContext = to(`DocumentReference/${document.id}`);
  const upload = { data: "more", contentType: "text/plain", securityContext };
  expect(await client.createBinary(upload)).toMatchObject({ resourceType: "Binary", securityContext });
  const { url } = await client.createAttachment(upload);
  expect(url).toMatch(/^Binary\//u);
  const everything = await client.readPatientEverything("amara-okafor");
  expect(everything.entry?.map(({ resource }) => resource?.id)).toContain(document.id);
});
