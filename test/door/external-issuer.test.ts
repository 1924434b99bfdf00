import { afterAll, beforeAll, test } from "vitest";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { openLedger } from "../support/auditor.ts";
import {
  askAs,
  issuerEntry,
  joined,
  outsideClient,
  outsider,
  type Outsider,
  outsideToken,
  starterPolicy,
} from "../support/outside.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { must } from "../support/must.ts";

const own = "amara-okafor";
const other = "jose-nunez";

let phylax: Door;
let [first, second]: Outsider[] = [];
let [app, heldApp, foreignApp]: CertificateFiles[] = [];
beforeAll(async () => {
  phylax = await startDoor();
  first = await outsider("https://first.issuer.example", "phylax");
  second = await outsider("https://second.issuer.example", "phylax");
  const grant = { policy: "patrqt", scopes: "patient/*.rs" };
  const clients = [
    await outsideClient(phylax, first, "outside-app", grant, { externalClientId: "app" }),
    await outsideClient(phylax, first, "held-app", grant, { externalClientId: "held", patient: own }),
    await outsideClient(phylax, second, "foreign-app", grant, { externalClientId: "app" }),
  ] as const;
  [app, heldApp, foreignApp] = clients.map(({ certificate }) => certificate);
  await phylax.applyRegistry(
    joined(
      {
        issuers: [
          issuerEntry(first),
          issuerEntry(second, { purpose: { claim: "ext.why" }, claims: { patient: "ext.who" } }),
        ],
      },
      { policies: [starterPolicy("patrqt")] },
      ...clients.map(({ entries }) => entries),
    ),
  );
}, 120_000);
afterAll(() => phylax.close());

const claims = {
  client_id: "app",
  patient: own,
  scope: "openid launch/patient patient/*.rs",
  fhirUser: `Patient/${own}`,
};
const token = (
  changes: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
) => outsideToken(must(first), must(app), { ...claims, ...changes }, header);
const ask = async (path: string, changes: Readonly<Record<string, unknown>> = {}) =>
  askAs(phylax, must(app), await token(changes), path);
const entries = ({ text }: Reply): readonly { readonly resource: Readonly<Record<string, unknown>> }[] =>
  JSON.parse(text).entry ?? [];

test("a patient's token of an external issuer reads the patient's own record, and the ledger names the token's patient", async ({
  expect,
}) => {
  const reply = await ask(`Patient/${own}`);
  expect(reply.status, reply.text).toBe(200);
  expect(JSON.parse(reply.text)).toMatchObject({ resourceType: "Patient", id: own });
  const id = reply.headers["x-request-id"];
  const records = await openLedger(phylax.dev);
  expect(records.find(({ event }) => event.id === id)?.event).toMatchObject({
    kind: "disclosure",
    who: {
      client: "outside-app",
      issuer: must(first).iss,
      subject: "someone",
      user: `Patient/${own}`,
      patient: own,
    },
    why: { purposes: ["PATRQT"] },
    patients: [{ patient: `main/Patient/${own}` }],
  });
});

test("another patient's record looks exactly like an absent record", async ({ expect }) => {
  const face = ({ status, text }: Reply) => [status, text.replaceAll(/[0-9a-f]{32}/gu, "id")];
  expect(JSON.parse((await phylax.ask("telehealth", `Patient/${other}`)).text)).toMatchObject({ id: other });
  expect(face(await ask(`Patient/${other}`))).toEqual(face(await ask("Patient/nobody-at-all")));
  expect((await ask(`Patient/${other}`)).status).toBe(404);
});

test("searches find the patient's rows only, and a search that names another patient finds nothing", async ({
  expect,
}) => {
  for (const query of ["Observation", `Observation?patient=${own}`, `Observation?subject=Patient/${own}`]) {
    const reply = await ask(query);
    expect(reply.status, reply.text).toBe(200);
    expect(entries(reply).length, query).toBeGreaterThan(0);
    for (const { resource } of entries(reply))
      expect(resource["subject"]).toMatchObject({
        reference: expect.stringMatching(new RegExp(`Patient/${own}$`, "u")),
      });
  }
  expect(entries(await phylax.ask("telehealth", `Observation?patient=${other}`)).length).toBeGreaterThan(0);
  for (const query of [
    `Observation?patient=${other}`,
    `Observation?patient=nobody-at-all`,
    `Patient?_id=${other}`,
  ]) {
    const reply = await ask(query);
    expect(reply.status, reply.text).toBe(200);
    expect(entries(reply), query).toEqual([]);
  }
  expect(entries(await ask("Patient")).map(({ resource }) => resource["id"])).toEqual([own]);
});

test("a resource of no patient is found under a patient's scope exactly if it is read there", async ({
  expect,
}) => {
  for (const path of ["ChargeItemDefinition", "ValueSet/1"]) expect((await ask(path)).status, path).toBe(403);
  for (const type of ["Practitioner", "Organization"]) {
    const idsOf = (reply: Reply) => entries(reply).map(({ resource }) => String(resource["id"]));
    const found = idsOf(await ask(type));
    const all = idsOf(await phylax.ask("telehealth", `${type}?_count=100`));
    expect(found.length, type).toBeGreaterThan(0);
    expect(all, type).toEqual(expect.arrayContaining(found));
    for (const id of all)
      expect((await ask(`${type}/${id}`)).status, `${type}/${id}`).toBe(found.includes(id) ? 200 : 404);
  }
  expect((await ask("Practitioner/dr-ravi-menon")).status).toBe(200);
  expect((await ask("Practitioner/1")).status).toBe(404);
});

test("a second issuer has its own names for purpose and patient; without a purpose its client's only purpose counts", async ({
  expect,
}) => {
  for (const ext of [{ who: own, why: ["PATRQT"] }, { who: `Patient/${own}`, why: "PATRQT" }, { who: own }]) {
    const said = await outsideToken(must(second), must(foreignApp), {
      client_id: "app",
      scope: "patient/*.r",
      ext,
    });
    expect((await askAs(phylax, must(foreignApp), said, `Patient/${own}`)).status, JSON.stringify(ext)).toBe(
      200,
    );
  }
  const wrong = await outsideToken(must(second), must(foreignApp), {
    client_id: "app",
    scope: "patient/*.r",
    ext: { who: own, why: "TREAT" },
  });
  expect((await askAs(phylax, must(foreignApp), wrong, `Patient/${own}`)).status).toBe(403);
});

test("a token that is not this issuer's for this client and this gateway is 401, and the ledger has the reason", async ({
  expect,
}) => {
  const now = Math.floor(Date.now() / 1000);
  const [one, two, mine] = [must(first), must(second), must(app)];
  const forged = { ...one, key: two.key };
  const spoiled: readonly (readonly [string, string, CertificateFiles?])[] = [
    ["audience_mismatch", await token({ aud: "somebody-else" })],
    ["audience_mismatch", await token({ aud: ["phylax", `${phylax.dev.gateway}/v1/fhir/other`] })],
    ["signature_invalid", await outsideToken(forged, mine, claims)],
    ["issuer_unknown", await token({ iss: "https://third.issuer.example" })],
    ["signature_invalid", await token({ iss: phylax.dev.gateway, aud: phylax.dev.fhir }, { kid: "token-1" })],
    ["token_unbound", await token({ cnf: undefined })],
    ["certificate_mismatch", await token(), must(heldApp)],
    ["certificate_not_registered", await outsideToken(one, must(heldApp), claims), must(heldApp)],
    // The second issuer's client is called `app` too: the first issuer cannot give that name to the second
    // client's certificate.
    ["certificate_not_registered", await outsideToken(one, must(foreignApp), claims), must(foreignApp)],
    ["client_unknown", await token({ client_id: "outside-app" })],
    ["client_unknown", await token({ client_id: "telehealth" })],
    ["token_expired", await token({ iat: now - 400, exp: now - 1 })],
    ["token_lifetime_too_long", await token({ exp: now + 3_700 })],
    ["token_type_invalid", await token({}, { typ: "JWT" })],
    ["claim_malformed", await token({ scope: undefined })],
  ];
  const ids: unknown[] = [];
  for (const [reason, bad, certificate = mine] of spoiled) {
    const reply = await askAs(phylax, certificate, bad, `Patient/${own}`);
    expect(reply.status, reason).toBe(401);
    expect(reply.text).not.toContain(own);
    ids.push(reply.headers["x-request-id"]);
  }
  expect((await askAs(phylax, undefined, await token(), `Patient/${own}`)).status, "no certificate").toBe(
    401,
  );
  const records = await openLedger(phylax.dev);
  expect(ids.map((id) => records.find(({ event }) => event.id === id)?.event.outcome?.reason)).toEqual(
    spoiled.map(([reason]) => reason),
  );
});

test("a scope with a filter that cannot be enforced reads nothing (403), and leaves the token's other scopes in force", async ({
  expect,
}) => {
  const filtered = "patient/Patient.r?_text=any";
  const status = async (scope: string) =>
    (await askAs(phylax, must(app), await token({ scope }), `Patient/${own}`)).status;
  expect(await status(filtered)).toBe(403);
  expect(await status(`openid email ${filtered}`)).toBe(403);
  expect(await status(`openid email ${filtered} patient/Patient.r`)).toBe(200);
});

test("a client that is registered for one patient accepts no token of a different patient, and no token without a patient", async ({
  expect,
}) => {
  const held = async (changes: Readonly<Record<string, unknown>>) => {
    const said = await outsideToken(must(first), must(heldApp), { ...claims, client_id: "held", ...changes });
    return (await askAs(phylax, must(heldApp), said, `Patient/${own}`)).status;
  };
  expect(await held({})).toBe(200);
  expect(await held({ scope: "system/*.rs" })).toBe(200);
  expect(await held({ patient: other })).toBe(403);
  expect(await held({ patient: undefined })).toBe(403);
  expect((await ask(`Patient/${own}`, { patient: undefined })).status).toBe(403);
  expect(
    (await ask(`Patient/${other}`, { scope: "system/*.rs" })).status,
    "the grant is the patient's, whatever the token says",
  ).toBe(404);
});

test("a client of an external issuer gets no token here", async ({ expect }) => {
  const form = new URLSearchParams({ grant_type: "client_credentials", client_id: "outside-app" });
  const reply = await send(phylax.dev, must(app), phylax.dev.tokenEndpoint, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: form.toString(),
  });
  expect(reply.status).toBe(401);
});
