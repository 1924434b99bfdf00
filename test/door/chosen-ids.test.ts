import { afterAll, beforeAll, test } from "vitest";
import { policyEntry, rule } from "../policy/granting.ts";
import { fhirSending, restricted, to } from "../support/fhir-parts.ts";
import { joined, issuerEntry, outsideClient, outsider, outsideToken, askAs } from "../support/outside.ts";
import { registerMain } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

// A create under an id of the client's choice tells whether the id is taken. So it needs the client's own
// prefix.

const writing: Partial<Parameters<typeof rule>[2]> = { interactions: ["read", "search", "create", "update"] };
const everything = [rule(["Patient", "Observation", "Practitioner", "Organization"], "everything", writing)];
const observation = (id: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: "x" },
  subject: to("Patient/ann"),
  ...more,
});
const organization = (id: string, more: object = {}) => ({
  resourceType: "Organization",
  id,
  name: "N",
  ...more,
});
const world = [
  { resourceType: "Patient", id: "ann" },
  observation("hidden", { meta: restricted }),
  observation("clinic-hidden", { meta: restricted }),
  organization("hidden", { meta: restricted }),
];
const grants = {
  prefixed: { policy: "some", scopes: "system/*.cruds" },
  plain: { policy: "some", scopes: "system/*.cruds" },
  patients: { policy: "some", scopes: "patient/*.cruds" },
  loader: { policy: "whole", scopes: "system/*.cruds" },
  updater: { policy: "whole", scopes: "system/*.rus" },
};
type Who = keyof typeof grants;

let phylax: Door;
let put: (who: Who, path: string, resource: object, headers?: object) => ReturnType<typeof askAs>;
let post: (who: Who, bundle: object) => ReturnType<typeof askAs>;
beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  await registerMain(phylax, { transactions: "atomic" });
  const issuer = await outsider("https://loaders.example", "phylax");
  const clients = new Map<Who, Awaited<ReturnType<typeof outsideClient>>>();
  for (const who of Object.keys(grants) as Who[]) {
    const more =
      who === "prefixed" || who === "patients"
        ? { idPrefix: `${who === "patients" ? "app" : "clinic"}-` }
        : {};
    clients.set(who, await outsideClient(phylax, issuer, who, grants[who], more));
  }
  const purposes = ["PATRQT" as const];
  const policies = [
    policyEntry("some", everything, { purposes }),
    policyEntry("whole", everything, {
      purposes,
      labels: { leave: [{ labels: ["V"], why: "45 CFR 164.506(c), for a test." }] },
    }),
  ];
  await phylax.applyRegistry(
    joined(
      { issuers: [issuerEntry(issuer)], policies },
      ...[...clients.values()].map(({ entries }) => entries),
    ),
  );
  const send = async (who: Who, path: string, sending: object) => {
    const { certificate } = clients.get(who) ?? {};
    if (certificate === undefined) throw new Error(who);
    const claims = {
      client_id: who,
      scope: grants[who].scopes,
      ...(who === "patients" && { patient: "ann" }),
    };
    return askAs(phylax, certificate, await outsideToken(issuer, certificate, claims), path, sending);
  };
  put = (who, path, resource, headers = {}) => send(who, path, fhirSending("PUT", resource, headers));
  post = (who, bundle) => send(who, "", fhirSending("POST", bundle));
}, 60_000);
afterAll(() => phylax.close());

const textOf = (text: string): string => JSON.parse(text).issue[0].details.text;

test("an id with the client's prefix creates the resource, and names its patient on record; the same again is an update", async ({
  expect,
}) => {
  const first = await put("prefixed", "Observation/clinic-1", observation("clinic-1"), {
    prefer: "return=representation",
  });
  expect(first.status, first.text).toBe(201);
  expect(JSON.parse(first.text)).toMatchObject({ id: "clinic-1", subject: to("Patient/ann") });
  expect(first.headers["location"]).toMatch(/\/Observation\/clinic-1(?:\/|$)/u);
  expect((await put("prefixed", "Observation/clinic-1", observation("clinic-1"))).status).toBe(200);
  expect((await put("patients", "Observation/app-1", observation("app-1"))).status).toBe(201);
  const other = observation("app-2", { subject: to("Patient/ben") });
  expect((await put("patients", "Observation/app-2", other)).status).toBe(403);
});

test("any other id is refused alike, whether the row is hidden or absent, and the text says what to do", async ({
  expect,
}) => {
  const replies = [];
  for (const who of ["prefixed", "plain"] as const)
    for (const id of ["absent", "hidden", "clinicx-1", "w-1"]) {
      const reply = await put(who, `Observation/${id}`, observation(id));
      expect([reply.status, textOf(reply.text)], `${who} ${id}`).toEqual([
        404,
        expect.stringContaining("idPrefix"),
      ]);
      replies.push(textOf(reply.text));
    }
  expect(new Set(replies).size).toBe(1);
  expect((await put("prefixed", "Observation/clinic-hidden", observation("clinic-hidden"))).status).toBe(404);
  const conditioned = await put("prefixed", "Observation/clinic-9", observation("clinic-9"), {
    "if-match": "*",
  });
  expect(conditioned.status).toBe(404);
});

test("no policy opens other ids, since a label may hide a row of every type", async ({ expect }) => {
  expect((await put("loader", "Organization/o-1", organization("o-1"))).status).toBe(404);
  expect((await put("loader", "Organization/w-1", organization("w-1"))).status).toBe(404);
  expect((await put("loader", "Observation/any", observation("any"))).status).toBe(404);
  expect((await put("plain", "Organization/any", organization("any"))).status).toBe(404);
  expect((await put("updater", "Organization/any", organization("any"))).status).toBe(404);
});

test("a transaction creates rows under chosen ids that refer to each other", async ({ expect }) => {
  const entries = [
    { resourceType: "Patient", id: "clinic-p" },
    observation("clinic-o", { subject: to("urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7") }),
  ];
  const reply = await post("prefixed", {
    resourceType: "Bundle",
    type: "transaction",
    entry: entries.map((resource, index) => ({
      fullUrl: `urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b${7 + index}`,
      resource,
      request: { method: "PUT", url: `${resource.resourceType}/${resource.id}` },
    })),
  });
  expect(reply.status, reply.text).toBe(200);
  const { entry } = JSON.parse(reply.text);
  expect(entry.map(({ response }: { response: { status: string } }) => response.status.slice(0, 3))).toEqual([
    "201",
    "201",
  ]);
  const stored = await put(
    "prefixed",
    "Observation/clinic-o",
    observation("clinic-o", { subject: to("Patient/ann") }),
  );
  expect(stored.status, "it belongs to the new patient").toBe(403);
});
