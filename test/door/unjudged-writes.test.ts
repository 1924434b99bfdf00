import { afterAll, beforeAll, test } from "vitest";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import type { Sending } from "../../cli/connection/mutual-tls.ts";
import { eventsOf } from "../support/auditor.ts";
import { failForMarkedRows, faults } from "../support/faulty-rows.ts";
import { fhirJson, jsonPatch, to } from "../support/fhir-parts.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { lane } from "../support/lane.ts";
import { askAs, issuerEntry, joined, outsideClient, outsider, outsideToken } from "../support/outside.ts";

/*
 * A stored row that cannot be judged, and the writes to it: by the app of its patient under a policy with conditions,
 * and by a registrar under a policy without any condition.
 */

failForMarkedRows();

const stored = {
  "whose reading throws": faults["whose reading throws"],
  "with more codes than the conditions read": {
    code: { coding: Array.from({ length: 70_000 }, (_, n) => ({ code: `${n % 10}` })) },
  },
  "with an unreadable value": faults["with an unreadable value"],
  "with a modifier that nobody knows": { modifierExtension: [{ url: "urn:x", valueBoolean: true }] },
} as const satisfies Readonly<Record<string, object>>;
type Fault = keyof typeof stored;
const known = Object.keys(stored) as readonly Fault[];

const observation = (id: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  meta: { versionId: "1" },
  status: "final",
  code: { text: "a" },
  subject: to("Patient/amara"),
  ...more,
});

/** The writes that reached the origin. */
const written: string[] = [];
/** Each faulty row stands there under its number. */
const texts = new Map(
  known.map((fault, n) => [`f${n}`, JSON.stringify(observation(`f${n}`, stored[fault]))]),
);
async function origin(request: Request): Promise<Response> {
  const [type, id = ""] = new URL(request.url).pathname.replace("/fhir/", "").split("/");
  const headers = { "content-type": "application/fhir+json" };
  if (request.method === "DELETE" || request.method === "PUT") written.push(request.method);
  if (request.method === "DELETE") return new Response(null, { status: 204 });
  if (request.method === "PUT") return new Response(await request.text(), { headers });
  const text = type === "Observation" ? texts.get(id) : undefined;
  return new Response(text ?? '{"resourceType":"OperationOutcome"}', { status: text ? 200 : 404, headers });
}

const rule = {
  types: ["Observation", "Patient"],
  interactions: ["read", "search", "create", "update", "delete"],
  show: "everything",
  why: "45 CFR 164.506(c)(2): treatment.",
  examples: [{ says: "It may be read.", request: "Observation?code=urn:c|a", is: "permitted" }],
};
/** The condition reads every code of a row. */
const where = [{ path: "code", notIn: ["urn:c|z"] }];
const policies = {
  narrow: { rules: [{ ...rule, types: ["Observation"], where }] },
  all: { rules: [rule], consentRegistrar: true },
};
const clients = {
  author: {
    policy: "narrow",
    scope: "patient/*.cruds",
    claims: { patient: "amara", fhirUser: "Patient/amara" },
  },
  registrar: { policy: "all", scope: "system/*.cruds", claims: {} },
} as const;
type Who = keyof typeof clients;
const all = Object.keys(clients) as Who[];
const certificates = new Map<Who, CertificateFiles>();
const tokens = new Map<Who, string>();
let phylax: Door;

beforeAll(async () => {
  phylax = await startDoor({ resources: [], answer: origin });
  const issuer = await outsider("https://unjudged-writes.example", "phylax");
  const entries = [];
  for (const who of all) {
    const { policy, scope, claims } = clients[who];
    const client = await outsideClient(phylax, issuer, who, { policy, scopes: scope });
    certificates.set(who, client.certificate);
    entries.push(client.entries);
    tokens.set(who, await outsideToken(issuer, client.certificate, { client_id: who, scope, ...claims }));
  }
  const file = {
    issuers: [issuerEntry(issuer)],
    policies: Object.entries(policies).map(([name, body]) => ({
      name,
      body: { format: "phylax.policy.v1", name, title: name, purposes: ["PATRQT"], ...body },
    })),
  };
  const applied = await phylax.addRegistry(joined(file, ...entries));
  if (!applied.ok) throw new Error(JSON.stringify(applied));
  await phylax.applyRegistry({
    origins: [
      { name: "main", url: phylax.dev.origin, credentials: { kind: "none" }, honoursIfMatchOnDelete: true },
    ],
  });
}, 60_000);
afterAll(() => phylax.close());

const ask = (who: Who, path: string, sending: Sending = {}) =>
  askAs(phylax, certificates.get(who), tokens.get(who) ?? "", path, sending);
const write = {
  DELETE: () => ({ method: "DELETE" }),
  PUT: (id: string) => ({
    method: "PUT",
    headers: fhirJson,
    body: JSON.stringify(observation(id, { status: "amended" })),
  }),
  PATCH: () => ({
    method: "PATCH",
    headers: jsonPatch,
    body: JSON.stringify([{ op: "replace", path: "/status", value: "amended" }]),
  }),
} as const;
type Method = keyof typeof write;

/** Status and reason of each write by each client. */
async function writesOf(fault: Fault) {
  const id = `f${known.indexOf(fault)}`;
  const found: Record<string, Record<string, string>> = {};
  for (const who of all) {
    const byMethod: Record<string, string> = {};
    for (const method of Object.keys(write) as Method[]) {
      written.length = 0;
      const { status, headers } = await ask(who, `Observation/${id}`, write[method](id));
      const events = await eventsOf(phylax.dev, headers["x-request-id"]);
      const reasons = events.flatMap(({ outcome }) => outcome?.reason ?? []);
      byMethod[method] = [status, ...reasons, ...(written.length > 0 ? ["written"] : [])].join(" ");
    }
    found[who] = byMethod;
  }
  return found;
}

const ofEach = (by: object) => ({ author: by, registrar: by });
const each = (outcome: string) => ({ DELETE: outcome, PUT: outcome, PATCH: outcome });
const done = { DELETE: "204 written", PUT: "200 written", PATCH: "200 written" };
const outcomes: readonly (readonly [says: string, fault: Fault, outcome: object])[] = [
  [
    "for its author, and for a registrar under a policy without conditions: nobody changes it or takes it away",
    "whose reading throws",
    ofEach(each("404 row_unjudged")),
  ],
  [
    "for a client of a policy with a condition on codes; a client of a policy without one changes it and takes it away",
    "with more codes than the conditions read",
    { ...ofEach(each("404 row_unjudged")), registrar: done },
  ],
  [
    "for a change; everybody who may delete it takes it away, since a deletion reads only what decides",
    "with an unreadable value",
    ofEach({ ...each("404 resource_withheld"), DELETE: "204 written" }),
  ],
  [
    "for everybody: what its modifier negates is not known (P9)",
    "with a modifier that nobody knows",
    ofEach(each("404 resource_withheld")),
  ],
];

// The fast lane leaves out the row whose writes cost the most.
const isDear = (fault: Fault) => fault === "with more codes than the conditions read";

test.for(outcomes.filter(([, fault]) => lane !== "fast" || !isDear(fault)))(
  "a write to a stored row is as to an absent row, %s: a row %s",
  async ([, fault, outcome], { expect }) => {
    expect(await writesOf(fault)).toEqual(outcome);
  },
);
