import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { globalAgent } from "node:https";
import { createRequire } from "node:module";
import { Client, type FhirResource } from "fhir-kit-client";
import { Agent, getGlobalDispatcher, setGlobalDispatcher, type Dispatcher } from "undici";
import { afterAll, beforeAll, test } from "vitest";
import { fhirSending, to } from "../support/fhir-parts.ts";
import {
  applyToUsedStack,
  certificateFor,
  clientEntries,
  issuerEntry,
  joined,
  outsider,
  outsideToken,
  starterPolicy,
  thumbprint,
} from "../support/outside.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

// The token of a stock SMART app: most of its scope words mean nothing to a resource server.
const scope = "openid email profile launch/practitioner need_patient_banner patient/*.rs";
const own = "amara-okafor";

/** The part of fhirclient that the test calls: the package's own types would bring the DOM. */
interface SmartApi {
  client(state: object): {
    readonly patient: { read(): Promise<unknown>; request(path: string): Promise<unknown> };
    request(asked: string | object, options?: object): Promise<unknown>;
  };
}
const smart: (request: IncomingMessage, response: ServerResponse, storage: object) => SmartApi =
  createRequire(import.meta.url)("fhirclient");

let phylax: TestStack;
let before: Dispatcher;
let dispatcher: Agent;
let agentBefore: typeof globalAgent.options;
let token = "";
beforeAll(async () => {
  phylax = await sharedTestStack();
  const issuer = await outsider("https://stock.example", "phylax");
  const certificate = await certificateFor(phylax, "stock-app");
  const client = {
    id: "stock-app",
    kind: "patient",
    auth: "external",
    issuer: issuer.iss,
    externalClientId: "stock-app",
    certificates: [thumbprint(certificate)],
  };
  await applyToUsedStack(
    phylax,
    joined(
      { issuers: [issuerEntry(issuer)], policies: [starterPolicy("patrqt")] },
      clientEntries(client, "PATRQT", "patrqt", "patient/*.rs"),
    ),
  );
  token = await outsideToken(issuer, certificate, { client_id: "stock-app", patient: own, scope });
  const connect = {
    ca: readFileSync(phylax.dev.ca),
    cert: readFileSync(certificate.cert),
    key: readFileSync(certificate.key),
  };
  // Node's fetch takes the dispatcher, and node-fetch of fhirclient the agent: the libraries stay as npm has them.
  dispatcher = new Agent({ connect });
  before = getGlobalDispatcher();
  setGlobalDispatcher(dispatcher);
  agentBefore = globalAgent.options;
  globalAgent.options = { ...agentBefore, ...connect };
}, 60_000);
afterAll(async () => {
  setGlobalDispatcher(before);
  globalAgent.options = agentBefore;
  globalAgent.destroy();
  await dispatcher.close();
  await phylax.close();
});

interface Bundle {
  readonly entry?: readonly { readonly resource: { readonly resourceType: string } }[];
}
const typesIn = ({ entry = [] }: Bundle): ReadonlySet<string> =>
  new Set(entry.map(({ resource }) => resource.resourceType));

function stockClient() {
  const storage = { get: async () => undefined, set: async () => undefined, unset: async () => true };
  // fhirclient reads the host of a request; no page is served here
  const request = { headers: { host: "127.0.0.1" }, url: "/" } as object as IncomingMessage;
  return smart(request, {} as object as ServerResponse, storage).client({
    serverUrl: phylax.dev.fhir,
    tokenResponse: { access_token: token, patient: own, scope },
  });
}

test("fhirclient reads the patient and searches the patient's rows, pages and includes", async ({
  expect,
}) => {
  const client = stockClient();
  expect(await client.patient.read()).toMatchObject({ resourceType: "Patient", id: own });
  // fhirclient adds the patient to the question
  expect(typesIn((await client.patient.request("Observation")) as Bundle)).toEqual(new Set(["Observation"]));
  const pages = (await client.request(`Observation?patient=${own}&_count=4`, { pageLimit: 0 })) as Bundle[];
  expect(pages.length).toBeGreaterThan(1);
  const question = `Condition?patient=${own}&_include=Condition:subject&_revinclude=Provenance:target`;
  expect([...typesIn((await client.request(question)) as Bundle)].sort()).toEqual(["Condition", "Patient"]);
});

test("fhirclient reads a note as PDF by the URL of its attachment", async ({ expect, onTestFinished }) => {
  const content = "%PDF-1.4 a note of a stock app";
  const atOrigin = (method: string, path: string, resource?: object) =>
    fetch(`${phylax.dev.origin}/${path}`, fhirSending(method, resource));
  const rows = ["DocumentReference/stock-note", "Binary/stock-note"];
  onTestFinished(async () => {
    for (const row of rows) await atOrigin("DELETE", row);
  });
  const data = Buffer.from(content).toString("base64");
  const attachment = { contentType: "application/pdf", url: rows[1] };
  for (const row of [
    { resourceType: "Binary", contentType: "application/pdf", data },
    {
      resourceType: "DocumentReference",
      status: "current",
      subject: to(`Patient/${own}`),
      content: [{ attachment }],
    },
  ])
    expect((await atOrigin("PUT", `${row.resourceType}/stock-note`, { ...row, id: "stock-note" })).ok).toBe(
      true,
    );

  const client = stockClient();
  const note = (await client.request("DocumentReference/stock-note")) as {
    readonly content: readonly { readonly attachment: { readonly url: string } }[];
  };
  const url = note.content[0]?.attachment.url ?? "";
  expect(url).not.toBe(rows[1]);
  const reply = (await client.request({ url, headers: { accept: "application/pdf" } })) as Response;
  expect(reply.headers.get("content-type")).toBe("application/pdf");
  expect(await reply.text()).toBe(content);
});

test("fhir-kit-client reads, searches, and is refused another patient by the face of an absent one", async ({
  expect,
}) => {
  const client = new Client({ baseUrl: phylax.dev.fhir, bearerToken: token });
  const read = (id: string) => client.read({ resourceType: "Patient", id });
  expect(await read(own)).toMatchObject({ resourceType: "Patient", id: own });
  const search = async (resourceType: string, searchParams: Record<string, string>) =>
    typesIn((await client.search({ resourceType, searchParams })) as FhirResource & Bundle);
  expect(await search("Observation", { status: "final", _sort: "-date" })).toEqual(new Set(["Observation"]));
  expect(await search("Device", { patient: own })).toEqual(new Set());
  const statusOf = async (id: string) =>
    read(id).then(
      () => 200,
      ({ response: { status } }: { response: { status: number } }) => status,
    );
  expect(await Promise.all(["nobody", "george-henderson"].map(statusOf))).toEqual([404, 404]);
});
