import { afterAll, beforeAll, describe, test } from "vitest";
import type { Reply, Sending } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { eventsOf } from "../support/auditor.ts";
import { fhirJson, to } from "../support/fhir-parts.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { askAs, issuerEntry, joined, outsideClient, outsider, outsideToken } from "../support/outside.ts";

/*
 * Rows and writes that name many patients. The records of a write fit the ledger whatever it names, a row that
 * names too many patients is missing alone, and a write names few patients beyond the access of its author.
 */

const code = (text: string) => ({ coding: [{ system: "urn:c", code: text }] });
const named = (prefix: string, many: number) =>
  Array.from({ length: many }, (_, n) => to(`Patient/${prefix}-${n}`));
const observation = (id: string, patient: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: code("pulse"),
  subject: to(`Patient/${patient}`),
  ...more,
});
const inWard = { encounter: to("Encounter/visit") };
const world = [
  { resourceType: "Patient", id: "amara" },
  { resourceType: "Patient", id: "bela" },
  {
    resourceType: "Encounter",
    id: "visit",
    status: "finished",
    class: { code: "AMB" },
    subject: to("Patient/amara"),
  },
  observation("small", "amara", { code: code("join"), ...inWard }),
  ...["one", "two", "three"].map((id) =>
    observation(`large-${id}`, "amara", { code: code("join"), ...inWard, focus: named("crowd", 3_000) }),
  ),
  observation("plain", "bela", { code: code("page") }),
  ...["read", "removed", "removed-in-batch", "removed-in-transaction"].map((id) =>
    observation(id, "bela", { code: code("page"), focus: named("crowd", 5_100) }),
  ),
  observation("pulse", "amara"),
  observation("known", "amara", { focus: named("crowd", 30) }),
  observation("masked", "amara"),
];

const rule = (types: readonly string[], show: "everything" | readonly string[] = "everything") => ({
  types,
  interactions: ["read", "search", "create", "update", "delete"],
  show,
  deletes: "unseen",
  why: "45 CFR 164.506(c)(2): treatment activities of a provider.",
  examples: [{ says: "It may be read.", request: `${types[0]}/1`, is: "permitted" }],
});
const policy = (name: string, more: object = {}) => ({
  name,
  body: {
    format: "phylax.policy.v1",
    name,
    title: "Writes",
    purposes: ["PATRQT"],
    operations: ["everything"],
    rules: [rule(["Patient", "Observation", "Encounter", "Group", "List"])],
    ...more,
  },
});

type Who = "clinic" | "app" | "strict";
let phylax: Door;
const certificates = new Map<Who, CertificateFiles>();
const tokens = new Map<Who, string>();
const scopes = { clinic: "system/*.cruds", app: "patient/*.cruds", strict: "patient/*.cruds" } as const;

beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  const issuer = await outsider("https://names.example", "phylax");
  const entries = [];
  for (const who of Object.keys(scopes) as Who[]) {
    const grant = { policy: who === "strict" ? "strict" : "open", scopes: scopes[who] };
    const client = await outsideClient(phylax, issuer, who, grant);
    certificates.set(who, client.certificate);
    entries.push(client.entries);
    const claims = { client_id: who, scope: scopes[who], ...(who !== "clinic" && { patient: "amara" }) };
    tokens.set(who, await outsideToken(issuer, client.certificate, claims));
  }
  const policies = [policy("open"), policy("strict")];
  const applied = await phylax.addRegistry(joined({ issuers: [issuerEntry(issuer)], policies }, ...entries));
  if (!applied.ok) throw new Error(JSON.stringify(applied));
}, 120_000);
afterAll(() => phylax.close());

const ask = (who: Who, path: string, sending: Sending = {}) =>
  askAs(phylax, certificates.get(who), tokens.get(who) ?? "", path, sending);
const send = (who: Who, method: string, path: string, body: unknown, headers: object = {}): Promise<Reply> =>
  ask(who, path, { method, headers: { ...fhirJson, ...headers }, body: JSON.stringify(body) });
const bundle = (type: string, ...entry: readonly object[]) => ({ resourceType: "Bundle", type, entry });
const posting = (resource: { readonly resourceType: string }) => ({
  resource,
  request: { method: "POST", url: resource.resourceType },
});
const eventsAbout = (reply: Reply) => eventsOf(phylax.dev, reply.headers["x-request-id"]);
/** The patients in the events of a kind, each once. */
const namedOnRecord = async (reply: Reply, kind: string): Promise<ReadonlySet<string>> =>
  new Set(
    (await eventsAbout(reply)).flatMap((event) =>
      event.kind === kind ? event.patients.map(({ patient }) => patient) : [],
    ),
  );
const idsOf = (reply: Reply): readonly string[] =>
  (JSON.parse(reply.text).entry ?? [])
    .map((entry: { resource: { id: string } }) => entry.resource.id)
    .toSorted();
const statusesOf = (reply: Reply): readonly string[] =>
  JSON.parse(reply.text).entry.map((entry: { response: { status: string } }) =>
    entry.response.status.slice(0, 3),
  );
const { id: _id, ...fresh } = observation("", "amara");
/** The requests at the origin that write. */
const writesSince = (from: number) => phylax.forwarded.slice(from).filter((one) => !one.startsWith("GET "));

describe("the records of a write fit the ledger, whatever it names", () => {
  test("a create that names 4,900 patients is stored, with all of them on record before and after", async ({
    expect,
  }) => {
    const crowd = { ...fresh, focus: named("crowd", 4_900) };
    for (const prefer of ["return=minimal", "return=representation"]) {
      const reply = await send("clinic", "POST", "Observation", crowd, { prefer });
      expect(reply.status).toBe(201);
      const kinds = (await eventsAbout(reply)).map(({ kind }) => kind);
      expect(new Set(kinds)).toEqual(
        new Set(prefer === "return=minimal" ? ["intent", "write"] : ["intent", "write", "disclosure"]),
      );
      expect((await namedOnRecord(reply, "intent")).size).toBe(4_901);
      expect((await namedOnRecord(reply, "write")).size).toBe(4_901);
      const { id } = JSON.parse((await ask("clinic", reply.headers["location"] ?? "")).text);
      const url = `Observation/${id}`;
      const named = await send("clinic", "PUT", url, { ...crowd, id, status: "amended" }, { prefer });
      expect(named.status).toBe(200);
      expect((await namedOnRecord(named, "intent")).size).toBe(4_901);
      const gone = await ask("clinic", url, { method: "DELETE" });
      expect(gone.status).toBe(204);
      expect((await eventsAbout(gone)).map(({ kind }) => kind)).toContain("write");
    }
  });

  test("a row that names 5,100 patients can be deleted, alone and in bundles: each of them is on record before the origin is asked", async ({
    expect,
  }) => {
    const alone = await ask("clinic", "Observation/removed", { method: "DELETE" });
    expect(alone.status).toBe(204);
    expect((await namedOnRecord(alone, "intent")).size).toBe(5_101);
    expect((await namedOnRecord(alone, "write")).size).toBe(5_101);
    for (const type of ["batch", "transaction"]) {
      const removal = { request: { method: "DELETE", url: `Observation/removed-in-${type}` } };
      const reply = await send("clinic", "POST", "", bundle(type, removal));
      expect([reply.status, statusesOf(reply)]).toEqual([200, ["204"]]);
      expect((await namedOnRecord(reply, "intent")).size).toBe(5_101);
      expect((await namedOnRecord(reply, "write")).size).toBe(5_101);
    }
  });

  test("bundles of writes that name 4,900 patients each are done", async ({ expect }) => {
    for (const type of ["batch", "transaction"]) {
      const crowds = Array.from({ length: 3 }, (_, n) =>
        posting({ ...fresh, focus: named(`crowd-${n}`, 4_900) } as never),
      );
      const reply = await send("clinic", "POST", "", bundle(type, ...crowds));
      expect([reply.status, statusesOf(reply)]).toEqual([200, ["201", "201", "201"]]);
      expect((await namedOnRecord(reply, "write")).size).toBe(3 * 4_900 + 1);
    }
  });
});
