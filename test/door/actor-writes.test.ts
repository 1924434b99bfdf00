import { afterAll, beforeAll, test } from "vitest";
import type { Sending } from "../../cli/connection/mutual-tls.ts";
import { policyEntry, rule } from "../policy/granting.ts";
import { bundleOf, entryOf, fhirSending, jsonPatch, to } from "../support/fhir-parts.ts";
import { lane } from "../support/lane.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { askAs, issuerEntry, joined, outsideClient, outsider, outsideToken } from "../support/outside.ts";
import { registerMain } from "../support/outside-apps.ts";

// A client that may write a care team must not become the actor of a Consent on file, nor leave a denial, by any way.

const npi = (value: string) => [{ system: "urn:npi", value }];
const identified = (resourceType: string, name: string) => ({
  resourceType,
  id: `clinic-${resourceType}`,
  identifier: npi(name),
});

interface Actor {
  readonly row: { readonly resourceType: string; readonly id: string };
  /** A member by which the resource says who is meant, and a value that means a different person. */
  readonly widened: readonly [member: string, value: unknown];
  readonly harmless: readonly [member: string, value: unknown];
}
const actors: readonly Actor[] = [
  {
    row: {
      resourceType: "CareTeam",
      id: "clinic-CareTeam",
      status: "active",
      identifier: npi("t"),
      subject: to("Patient/ann"),
      participant: [{ member: to("Practitioner/nurse") }],
    } as Actor["row"],
    widened: ["participant", [{ member: to("Practitioner/doc") }]],
    harmless: ["note", [{ text: "Meets on Mondays" }]],
  },
  {
    row: {
      resourceType: "Group",
      id: "clinic-Group",
      type: "practitioner",
      actual: true,
      identifier: npi("g"),
      member: [{ entity: to("Practitioner/doc") }],
    } as Actor["row"],
    widened: ["member", [{ entity: to("Practitioner/nurse") }]],
    harmless: ["name", "Night shift"],
  },
  {
    row: {
      ...identified("PractitionerRole", "r"),
      practitioner: to("Practitioner/doc"),
    } as Actor["row"],
    widened: ["practitioner", to("Practitioner/nurse")],
    harmless: ["availabilityExceptions", "Not in May"],
  },
  { row: identified("Organization", "o"), widened: ["identifier", npi("w")], harmless: ["name", "Lab"] },
  { row: identified("Device", "d"), widened: ["identifier", npi("w")], harmless: ["lotNumber", "7"] },
];
/** The starter policy for treatment may write a care team. */
const counted = lane === "fast" ? actors.slice(0, 1) : actors;
const types = actors.map(({ row }) => row.resourceType);

const writer = { policy: "writer", scopes: "system/*.cruds", purpose: "TREAT" };
const grants = { clinic: writer, registrar: { ...writer, policy: "registrar" } };
type Who = keyof typeof grants;
let phylax: Door;
let ask: (who: Who, path: string, sending?: Sending) => ReturnType<typeof askAs>;

beforeAll(async () => {
  const world = [
    { resourceType: "Patient", id: "ann" },
    { resourceType: "Practitioner", id: "doc" },
    { resourceType: "Practitioner", id: "nurse" },
    {
      resourceType: "Observation",
      id: "pulse",
      status: "final",
      code: { text: "pulse" },
      subject: to("Patient/ann"),
    },
    ...actors.map(({ row }) => row),
  ];
  phylax = await startDoor({
    resources: world as NonNullable<Parameters<typeof startDoor>[0]>["resources"] & object,
  });
  const issuer = await outsider("https://actors.example", "phylax");
  const rules = [
    rule(
      ["Consent", "Patient", "Observation", "Practitioner", ...types] as Parameters<typeof rule>[0],
      "everything",
      {
        interactions: ["read", "search", "create", "update", "delete"],
      },
    ),
  ];
  const whose = { purposes: ["TREAT" as const], consent: { base: "honoured" as const } };
  const policies = [
    policyEntry("writer", rules, whose),
    policyEntry("registrar", rules, { ...whose, consentRegistrar: true }),
  ];
  const clients = new Map<Who, Awaited<ReturnType<typeof outsideClient>>>();
  for (const who of Object.keys(grants) as Who[])
    clients.set(who, await outsideClient(phylax, issuer, who, grants[who], { idPrefix: `${who}-` }));
  await phylax.applyRegistry(
    joined(
      { issuers: [issuerEntry(issuer, { purpose: { claim: "purpose" } })], policies },
      ...[...clients.values()].map(({ entries }) => entries),
    ),
  );
  const facts = { honoursIfMatchOnDelete: true, transactions: "atomic" };
  await registerMain(phylax, { ...facts, consents: { readEverySeconds: 60 } });
  ask = async (who, path, sending = {}) => {
    const { certificate } = clients.get(who) ?? {};
    if (certificate === undefined) throw new Error(who);
    const { scopes: scope, purpose } = grants[who];
    const claims = { client_id: who, scope, purpose, fhirUser: "Practitioner/nurse" };
    return askAs(phylax, certificate, await outsideToken(issuer, certificate, claims), path, sending);
  };
}, 60_000);
afterAll(() => phylax.close());

/** Every way by which a client changes a resource, with its request. */
function waysTo({ row }: Actor, [member, value]: Actor["widened"]): readonly (readonly [string, Sending])[] {
  const { resourceType: type, id } = row;
  const place = `${type}/${id}`;
  const changed = { ...row, [member]: value };
  const { identifier: _known, ...found } = changed as typeof changed & { readonly identifier?: unknown };
  const byIdentifier = `${type}?identifier=urn:npi|${(row as unknown as { identifier: { value: string }[] }).identifier[0]?.value}`;
  const operations = [{ op: "replace", path: `/${member}`, value }];
  const patch = { method: "PATCH", body: JSON.stringify(operations), headers: jsonPatch };
  const binary = { resourceType: "Binary", contentType: jsonPatch["content-type"] };
  const patchEntry = entryOf("PATCH", place, {
    ...binary,
    data: Buffer.from(JSON.stringify(operations)).toString("base64"),
  });
  const absent = { ...changed, id: "clinic-absent" };
  return [
    [place, fhirSending("PUT", changed)],
    [place, patch],
    [byIdentifier, fhirSending("PUT", member === "identifier" ? changed : { ...found, identifier: _known })],
    [byIdentifier, patch],
    [place, { method: "DELETE" }],
    [byIdentifier, { method: "DELETE" }],
    [`${type}/clinic-absent`, fhirSending("PUT", absent)],
    ...["batch", "transaction"].flatMap((kind) =>
      [
        entryOf("PUT", place, changed),
        patchEntry,
        entryOf("DELETE", place),
        entryOf("PUT", `${type}/clinic-absent`, absent),
      ].map((entry) => ["", fhirSending("POST", bundleOf(kind, entry).body)] as const),
    ),
  ];
}

const written = () => phylax.forwarded.filter((each) => !/^GET |\/_search$/u.test(each));
const isDone = ({ status, text }: { readonly status: number; readonly text: string }): boolean =>
  status < 300 && !/"status":"[45]/u.test(text);

test("no way of writing changes who a Consent on file means, but for a consent registrar", async ({
  expect,
}) => {
  const role = {
    coding: [{ system: "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", code: "IRCP" }],
  };
  const scope = {
    coding: [{ system: "http://terminology.hl7.org/CodeSystem/consentscope", code: "patient-privacy" }],
  };
  const consent = {
    resourceType: "Consent",
    status: "active",
    scope,
    category: [{ text: "privacy" }],
    patient: to("Patient/ann"),
    dateTime: "2026-01-01",
    policyRule: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "OPTIN" }] },
    provision: {
      type: "deny",
      actor: [{ role, reference: to("CareTeam/clinic-CareTeam") }],
      class: [{ system: "http://hl7.org/fhir/resource-types", code: "Observation" }],
    },
  };
  const filed = await ask("registrar", "Consent", fhirSending("POST", consent));
  expect(filed.status, filed.text).toBe(201);
  expect((await ask("clinic", "Observation/pulse")).status, "the nurse is a member").toBe(404);
  const before = written();
  for (const actor of counted)
    for (const [path, sending] of waysTo(actor, actor.widened)) {
      const answer = await ask("clinic", path, sending);
      expect([path, sending.body, isDone(answer)], answer.text).toEqual([path, sending.body, false]);
    }
  expect(written(), "nothing reached the origin").toEqual(before);
  expect((await ask("clinic", "Observation/pulse")).status).toBe(404);
});

test("a registrar changes who is meant, by each of these ways", async ({ expect }) => {
  for (const actor of counted) {
    const { resourceType: type, id } = actor.row;
    const ways = waysTo(actor, actor.widened).filter(([, sending]) => !isUnderNewId(sending));
    for (const [path, sending] of lane === "fast" ? ways.slice(0, 1) : ways) {
      const answer = await ask("registrar", path, sending);
      expect([path, sending.body, isDone(answer)], answer.text).toEqual([path, sending.body, true]);
      const headers = { "content-type": "application/fhir+json" };
      const restored = { method: "PUT", headers, body: JSON.stringify(actor.row) };
      await phylax.within(() => fetch(`${phylax.dev.origin}/${type}/${id}`, restored));
    }
  }
});
const isUnderNewId = ({ body }: Sending): boolean => JSON.stringify(body ?? "").includes("clinic-absent");

test("a change of other elements arrives, and so does a new resource under an id of the server", async ({
  expect,
}) => {
  for (const { row, widened, harmless } of actors) {
    const { resourceType: type, id } = row;
    const changed = { ...row, [harmless[0]]: harmless[1] };
    const put = await ask("clinic", `${type}/${id}`, fhirSending("PUT", changed));
    expect([type, put.status], put.text).toEqual([type, 200]);
    const operations = JSON.stringify([{ op: "replace", path: `/${harmless[0]}`, value: harmless[1] }]);
    const patch = { method: "PATCH", body: operations, headers: jsonPatch };
    expect([type, (await ask("clinic", `${type}/${id}`, patch)).status]).toEqual([type, 200]);
    const { id: _id, ...created } = { ...row, [widened[0]]: widened[1] };
    const post = await ask("clinic", type, fhirSending("POST", created));
    expect([type, post.status], post.text).toEqual([type, 201]);
  }
});
