import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { requestToken } from "../../cli/connection/access-token.ts";
import { operatorOf } from "../../cli/connection/dev-file.ts";
import { keyProof } from "../../cli/connection/key-proof.ts";
import { send, type Reply, type Sending } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { policy, rule } from "../policy/granting.ts";
import { openLedger } from "../support/auditor.ts";
import {
  askAs,
  certificateFor,
  clientEntries,
  issuerEntry,
  joined,
  outsider,
  outsideToken,
  thumbprint,
} from "../support/outside.ts";
import type { PolicyRule } from "#policy/schema";
import { breakLedger, inEachShard } from "../support/shards.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { entryOf, fhirSending } from "../support/fhir-parts.ts";

/**
 * P1: while the ledger cannot record, nothing is disclosed, no write reaches the origin and no operator's
 * act is done, by any way out. Each way is taken three times: with a ledger that records (so it is a way
 * out, and a disclosure shows the canary), with a ledger that does not record, and once more when it records
 * again (so the second time did nothing).
 */

const canary = "canary-7f3a";
const observation = (id: string, of = "amara", more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }], text: canary },
  subject: { reference: `Patient/${of}` },
  effectiveDateTime: "2026-01-05",
  ...more,
});
const patient = (id: string) => ({
  resourceType: "Patient",
  id,
  name: [{ family: canary }],
  birthDate: "1980-02-03",
});
/** An answer with five of these is longer than one window. */
const long = (n: number) => observation(`long-${n}`, "carl", { note: [{ text: "n".repeat(300_000) }] });

/** A separate row for each time that a way is taken: a finished write cannot be done again. */
const rounds = ["up", "down"] as const;
type Round = (typeof rounds)[number];
const written = (name: string) => rounds.map((round) => observation(`${name}-${round}`));
const resources = [
  ...["amara", "bela", "carl"].map(patient),
  observation("of-amara"),
  observation("large", "bela", { note: [{ text: "n".repeat(1_500_000) }] }),
  ...[
    "update",
    "patch",
    "delete",
    "conditional-update",
    "conditional-patch",
    "conditional-delete",
    "batch",
    "transaction",
  ].flatMap(written),
  ...Array.from({ length: 5 }, (_, n) => long(n)),
];

const bundles = mkdtempSync(join(tmpdir(), "phylax-ledger-down-"));
const issuer = await outsider("https://ledger-down.example", "phylax");
const everything = (): PolicyRule["interactions"] => ["read", "search", "create", "update", "delete"];
const all = {
  ...policy(
    rule(["Patient"], "everything", { interactions: everything() }),
    rule(["Observation"], "everything", { interactions: everything() }),
  ),
  operations: ["everything", "lastn", "validate"] as const,
};
const clinicScope = "system/*.cruds";

let phylax: TestStack;
let certificate: CertificateFiles;
let token: string;
beforeAll(async () => {
  writeFileSync(
    join(bundles, "all.ndjson"),
    resources.map((resource) => JSON.stringify(resource)).join("\n"),
  );
  phylax = await startTestStack({ bundles });
  certificate = await certificateFor(phylax, "clinic");
  const client = {
    id: "clinic",
    kind: "telehealth",
    auth: "external",
    issuer: issuer.iss,
    externalClientId: "clinic",
    certificates: [thumbprint(certificate)],
  };
  await phylax.stack.runtime.applyRegistry(
    joined(
      {
        issuers: [issuerEntry(issuer, { purpose: { fixed: ["TREAT"] } })],
        policies: [{ name: "all", body: all }],
      },
      clientEntries(client, "TREAT", "all", clinicScope),
    ),
  );
  token = await outsideToken(issuer, certificate, { client_id: "clinic", scope: clinicScope });
}, 120_000);
afterAll(async () => {
  await phylax.close();
  rmSync(bundles, { recursive: true, force: true });
});

const ask = (path: string, sending: Sending = {}) =>
  askAs(phylax, certificate, token, path.replace(`${phylax.dev.fhir}/`, ""), sending);
const headed = (path: string, headers: Readonly<Record<string, string>>) => () => ask(path, { headers });
const put = (method: string, path: string, body: object, headers: Readonly<Record<string, string>> = {}) =>
  ask(path, fhirSending(method, body, headers));
const patch = (path: string) =>
  put("PATCH", path, [{ op: "replace", path: "/status", value: "amended" }], {
    "content-type": "application/json-patch+json",
  });
const { id: _id, ...fresh } = observation("fresh");
const named = (name: string) => ({ ...fresh, identifier: [{ system: "urn:test", value: name }] });
const bundle = (type: string, entries: readonly object[]) =>
  put("POST", "", { resourceType: "Bundle", type, entry: entries });
const posted = (path: string, form: string) =>
  ask(path, { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body: form });

const issuerForm = async (path: string, client: string, about: string): Promise<Reply> => {
  const { dev } = phylax;
  const body = new URLSearchParams({ client_id: client, token: about }).toString();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  return send(dev, phylax.client(client), `${dev.gateway}/oauth/${path}`, { method: "POST", headers, body });
};
const operate = (path: string, document: object): Promise<Reply> =>
  send(phylax.dev, operatorOf(phylax.dev, "registrar"), `${phylax.dev.ops}/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(document),
  });

// Read while the ledger records: a validator, a link to a further page, tokens, a nonce.
let [etag, modified, nextPage, mobileToken, mobileNonce, ownToken]: string[] = [];
async function prepare(): Promise<void> {
  const read = await ask("Patient/amara");
  etag = String(read.headers["etag"]);
  modified = String(read.headers["last-modified"]);
  const page = await ask("Observation?patient=amara&_count=2");
  const { link }: { link: { relation: string; url: string }[] } = JSON.parse(page.text);
  nextPage = link.find(({ relation }) => relation === "next")?.url ?? "";
  mobileToken = await phylax.token("telehealth-mobile");
  ownToken = await phylax.token("operations");
  await mobile("Patient/amara");
  for (const client of ["privacy-officer", "patient-app", "telehealth"])
    await phylax.ask(client, "Patient/nobody"); // its token is retained
}
async function mobile(path: string): Promise<Reply> {
  const url = `${phylax.dev.fhir}/${path}`;
  const key = JSON.parse(readFileSync(phylax.client("telehealth-mobile").jwk ?? "", "utf8"));
  const dpop = await keyProof(key, { url, method: "GET", nonce: mobileNonce, token: mobileToken });
  const reply = await send(phylax.dev, undefined, url, {
    headers: { authorization: `DPoP ${mobileToken}`, dpop },
  });
  mobileNonce = reply.headers["dpop-nonce"]?.toString() ?? mobileNonce;
  return reply;
}

interface Way {
  readonly take: (round: Round) => Promise<Reply>;
  /** The status with a ledger that records. */
  readonly status: number;
  /** The answer with that status contains the canary. */
  readonly shows?: true;
}
const shown = (take: Way["take"]): Way => ({ take, status: 200, shows: true });
const answered = (status: number, take: Way["take"]): Way => ({ take, status });

const ways: Readonly<Record<string, Way>> = {
  read: shown(() => ask("Patient/amara")),
  "read of a version": shown(() => versionOf("Patient/amara")),
  "read of one resource in a window": shown(() => ask("Observation/large")),
  "read with a proof of a key": shown(() => mobile("Patient/amara")),
  "read by a demonstration client": shown(() => phylax.ask("telehealth", "Patient/amara")),
  "read with a proof of its record": shown(headed("Patient/amara", { prefer: "audit-proof" })),
  HEAD: answered(200, () => ask("Patient/amara", { method: "HEAD" })),
  "HEAD of a search": answered(200, () => ask("Observation?patient=amara", { method: "HEAD" })),
  "conditional read that is 304": answered(304, () =>
    ask("Patient/amara", { headers: { "if-none-match": etag ?? "" } }),
  ),
  "conditional read by time": answered(304, () =>
    ask("Patient/amara", { headers: { "if-modified-since": modified ?? "" } }),
  ),
  search: shown(() => ask("Observation?patient=amara")),
  "search that finds nothing": answered(200, () => ask("Observation?patient=nobody")),
  "search by POST": shown(() => posted("Observation/_search", "patient=amara")),
  "search through a chain": shown(() => ask(`Observation?patient.family=${canary}&_count=3`)),
  "search with an include": shown(() => ask("Observation?_id=of-amara&_include=Observation:subject")),
  "search by what refers to it": shown(() => ask("Patient?_has:Observation:patient:_id=of-amara")),
  "further page": shown(() => ask(nextPage ?? "")),
  "compartment search": shown(() => ask("Patient/amara/Observation")),
  "history of a resource": shown(() => ask("Observation/of-amara/_history")),
  "history of a type": shown(() => ask("Patient/_history")),
  $everything: shown(() => ask("Patient/amara/$everything")),
  $lastn: shown(() => ask("Observation/$lastn?patient=amara&code=http://loinc.org|8867-4")),
  "stream from its start": shown(() => ask("Observation?patient=carl&_count=5")),
  "$disclosures to the officer": answered(200, () =>
    phylax.ask("privacy-officer", "Patient/amara/$disclosures?all=true"),
  ),
  "$disclosures as CSV": answered(200, () =>
    phylax.ask("privacy-officer", "Patient/amara/$disclosures?all=true&_format=csv"),
  ),
  "$disclosures as a page": answered(200, () =>
    phylax.ask("privacy-officer", "Patient/amara/$disclosures?all=true&_format=html"),
  ),
  "$disclosures to the individual": answered(200, () =>
    phylax.ask("patient-app", "Patient/amara/$disclosures?all=true"),
  ),
  "metadata with a token": answered(200, () => ask("metadata")),
  $validate: answered(200, () => put("POST", "Observation/$validate", fresh)),

  create: answered(201, () => put("POST", "Observation", fresh)),
  "conditional create": answered(201, (round) =>
    put("POST", "Observation", named(`created-${round}`), {
      "if-none-exist": `identifier=urn:test|created-${round}`,
    }),
  ),
  update: answered(200, (round) =>
    put("PUT", `Observation/update-${round}`, observation(`update-${round}`, "amara", { status: "amended" })),
  ),
  "update without an answer's body": answered(200, (round) =>
    put("PUT", `Observation/update-${round}`, observation(`update-${round}`), { prefer: "return=minimal" }),
  ),
  patch: answered(200, (round) => patch(`Observation/patch-${round}`)),
  delete: answered(204, (round) => ask(`Observation/delete-${round}`, { method: "DELETE" })),
  "conditional update": answered(200, (round) =>
    put(
      "PUT",
      `Observation?_id=conditional-update-${round}`,
      observation(`conditional-update-${round}`, "amara", { status: "amended" }),
    ),
  ),
  "conditional patch": answered(200, (round) => patch(`Observation?_id=conditional-patch-${round}`)),
  "conditional delete": answered(204, (round) =>
    ask(`Observation?_id=conditional-delete-${round}`, { method: "DELETE" }),
  ),
  "batch of reads": shown(() =>
    bundle("batch", [entryOf("GET", "Patient/amara"), entryOf("GET", "Observation?patient=amara")]),
  ),
  "batch of writes": answered(200, (round) =>
    bundle("batch", [
      entryOf("POST", "Observation", fresh),
      entryOf("DELETE", `Observation/batch-${round}`),
      entryOf("GET", "Patient/amara"),
    ]),
  ),
  "transaction of reads": shown(() => bundle("transaction", [entryOf("GET", "Patient/amara")])),
  "transaction of writes": answered(200, (round) =>
    bundle("transaction", [
      entryOf("POST", "Observation", fresh),
      entryOf("DELETE", `Observation/transaction-${round}`),
    ]),
  ),

  "refusal of what is not there": answered(404, () => ask("Patient/nobody")),
  "refusal of a type": answered(403, () => ask("Encounter?patient=amara")),
  "refusal of a parameter": answered(400, () => ask("Patient?unheard=of")),
  "refusal of a write": answered(404, () => put("PUT", "Observation/nobody", observation("nobody"))),
  "refusal of a method": answered(405, () => ask("Patient/amara", { method: "POST" })),
  "refusal without a token": answered(401, () =>
    send(phylax.dev, certificate, `${phylax.dev.fhir}/Patient/amara`),
  ),
  "refusal without anything": answered(401, () =>
    send(phylax.dev, undefined, `${phylax.dev.fhir}/Patient/amara`),
  ),

  "token by an assertion": answered(200, () => requestToken(phylax.dev, phylax.client("telehealth"))),
  "token by a certificate": answered(200, () => requestToken(phylax.dev, phylax.client("operations"))),
  "token bound to a key": answered(200, () => requestToken(phylax.dev, phylax.client("telehealth-mobile"))),
  "token refused": answered(400, () => requestToken(phylax.dev, phylax.client("lapsed"))),
  introspect: answered(200, () => issuerForm("introspect", "operations", ownToken ?? "")),
  revoke: answered(200, () => issuerForm("revoke", "operations", ownToken ?? "")),

  "registry apply": answered(200, (round) => operate("api/registry", newcomer(round))),
  "registry apply refused": answered(422, () => operate("api/registry", { unheard: [] })),
  revocation: answered(200, (round) => operate("api/revocations", deniedIn(round))),
  "revocation lifted": answered(200, (round) => operate("api/revocations/lift", deniedIn(round))),
  suspension: answered(200, (round) => operate("api/accounting/suspensions", suspensionOf(round))),
  "suspension refused": answered(422, () => operate("api/accounting/suspensions", { id: "x" })),
};

const deniedIn = (round: Round) => ({ kind: "certificate", x5t: (round === "up" ? "V" : "W").repeat(43) });
const newcomer = (round: Round) => ({
  clients: [
    {
      id: `newcomer-${round}`,
      kind: "payer",
      auth: "tls_client_auth",
      certificates: [(round === "up" ? "U" : "D").repeat(43)],
    },
  ],
});
const suspensionOf = (round: Round) => ({
  id: `suspended-${round}`,
  patient: "main/Patient/amara",
  recipient: "clinic",
  from: "2026-01-01T00:00:00Z",
  to: "2200-01-01T00:00:00Z",
  statement: "A health oversight agency says that telling would impede it.",
  oral: false,
});

async function versionOf(path: string): Promise<Reply> {
  const { meta }: { meta: { versionId: string } } = JSON.parse(
    await (await fetch(`${phylax.dev.origin}/${path}`)).text(),
  );
  return ask(`${path}/_history/${meta.versionId}`);
}

const writes = () =>
  phylax.forwarded.filter((line) => /^(?:POST|PUT|PATCH|DELETE) /u.test(line) && !line.endsWith("/_search"));
/** All rows that a way may write, as the origin has them. */
const atOrigin = async () =>
  (await fetch(`${phylax.dev.origin}/Observation?patient=amara&_count=1000`)).text();
const entriesOf = (text: string): unknown => (JSON.parse(text) as { entry: unknown }).entry;

test("each way out discloses and acts while the ledger records", { timeout: 120_000 }, async ({ expect }) => {
  await prepare();
  for (const [name, { take, status, shows }] of Object.entries(ways)) {
    const reply = await take("up");
    expect(reply.status, `${name}: ${reply.text.slice(0, 300)}`).toBe(status);
    if (shows) expect(reply.text, name).toContain(canary);
  }
  // The issuer is not asked about a revoked token again.
  ownToken = await phylax.token("operations");
});

/**
 * True for an OperationOutcome, or problem details (RFC 9457), that says that the service is unavailable and
 * no more.
 */
function isUnavailable(body: Record<string, unknown>): boolean {
  const [issue, ...others] = (body["issue"] ?? []) as readonly Record<string, unknown>[];
  if (body["resourceType"] === "OperationOutcome")
    return issue?.["code"] === "transient" && others.length === 0;
  return (
    body["status"] === 503 &&
    Object.keys(body).every((name) => ["type", "title", "status", "detail", "instance"].includes(name))
  );
}

test(
  "while the ledger cannot record, no way out discloses, writes or acts: each is 503",
  { timeout: 120_000 },
  async ({ expect }) => {
    const [rows, before, records] = [
      entriesOf(await atOrigin()),
      writes().length,
      (await openLedger(phylax.dev)).length,
    ];
    await inEachShard(phylax, breakLedger);
    const wrong: string[] = [];
    await Promise.all(
      Object.entries(ways).map(async ([name, { take }]) => {
        const { status, text, headers } = await take("down");
        if (status !== 503) wrong.push(`${name}: ${status}`);
        if (text.includes(canary) || text.includes("amara"))
          wrong.push(`${name}: tells ${text.slice(0, 200)}`);
        for (const field of [
          "phylax-receipt",
          "etag",
          "last-modified",
          "location",
          "dpop-nonce",
          "www-authenticate",
        ])
          if (headers[field] !== undefined) wrong.push(`${name}: has ${field}`);
        const type = String(headers["content-type"]);
        if (!/^application\/(?:fhir\+json|problem\+json)/u.test(type)) wrong.push(`${name}: is ${type}`);
        if (!/^\d+$/u.test(String(headers["retry-after"])))
          wrong.push(`${name}: does not say when to ask again`);
        if (!name.startsWith("HEAD") && !isUnavailable(JSON.parse(text)))
          wrong.push(`${name}: says ${text.slice(0, 200)}`);
      }),
    );
    await inEachShard(phylax, "DROP TRIGGER broken");
    expect.soft(wrong.sort()).toEqual([]);
    expect.soft(writes().slice(before), "no write was forwarded").toEqual([]);
    expect.soft(entriesOf(await atOrigin()), "at the origin").toEqual(rows);
    expect(await openLedger(phylax.dev), "and nothing of it is on record").toHaveLength(records);
  },
);

test("public documents are still answered, and name no patient", async ({ expect }) => {
  await inEachShard(phylax, breakLedger);
  const { dev } = phylax;
  const paths = [
    `${dev.fhir}/metadata`,
    `${dev.fhir}/.well-known/smart-configuration`,
    `${dev.gateway}/oauth/jwks`,
    `${dev.gateway}/healthz`,
  ];
  for (const path of paths) {
    const { status, text } = await send(dev, undefined, path);
    expect(status, path).toBe(200);
    expect(text, path).not.toMatch(/canary|amara/u);
  }
  await inEachShard(phylax, "DROP TRIGGER broken");
});

test(
  "when it records again, each way works, and the requests of the meantime had no effect",
  { timeout: 120_000 },
  async ({ expect }) => {
    for (const [name, { take, status, shows }] of Object.entries(ways)) {
      const reply = await take("down");
      expect(reply.status, `${name}: ${reply.text.slice(0, 300)}`).toBe(status);
      if (shows) expect(reply.text, name).toContain(canary);
      // the client and its certificate
      if (name === "registry apply") expect(JSON.parse(reply.text)).toEqual({ added: 2, changed: 0 });
      if (name === "introspect") expect(JSON.parse(reply.text)).toMatchObject({ active: true });
      if (name === "revocation lifted") expect(JSON.parse(reply.text)).toEqual({ lifted: true });
    }
  },
);
