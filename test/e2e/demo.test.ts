import { readFileSync } from "node:fs";
import type { JWK } from "jose";
import { afterAll, beforeAll, describe, test } from "vitest";
import { keyProof } from "../../cli/connection/key-proof.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { openLedger } from "../support/auditor.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

let phylax: TestStack;
beforeAll(async () => {
  phylax = await sharedTestStack();
});
afterAll(() => phylax.close());

const keys = {
  dev: "gateway fhir audience tokenEndpoint worker ledger ops origin ca clientCa ledgerName logs pid issuers users clinicians apps auditors operators officers clients root witnesses console",
  client: "id kind auth issuer audience cert key jwk scope purpose purposes dpop sub patient describe",
};

test("dev.json has every key of its contract", ({ expect }) => {
  const { dev } = phylax;
  expect(Object.keys(dev).sort()).toEqual(keys.dev.split(" ").sort());
  expect(dev.issuers).toEqual([
    {
      iss: expect.stringMatching(/^https:/u),
      jwk: expect.stringMatching(/^\//u),
      kid: expect.any(String),
      alg: "ES256",
      audience: dev.fhir,
    },
  ]);
  expect(dev.operators).toEqual([
    {
      id: "registrar",
      roles: ["registry-admin", "revoker", "privacy-officer"],
      cert: expect.stringMatching(/^\//u),
      key: expect.stringMatching(/^\//u),
    },
  ]);
  for (const client of dev.clients) {
    expect(Object.keys(client).sort()).toEqual(keys.client.split(" ").sort());
    expect(client.jwk === null, client.id).toBe(client.auth !== "private_key_jwt");
  }
});

describe("every client of the demonstration gets a token its own way and its own view", () => {
  test.for(["telehealth", "payer", "operations", "patient-app", "tiny"])(
    "%s reads a patient",
    async (id, { expect }) => {
      const reply = await phylax.ask(id, "Patient/amara-okafor");
      expect(reply.status, reply.text).toBe(200);
      expect(JSON.parse(reply.text)).toMatchObject({ resourceType: "Patient", id: "amara-okafor" });
    },
  );

  test.for(["research", "public-health"])("%s searches what its purpose is about", async (id, { expect }) => {
    const reply = await phylax.ask(id, "Condition?_count=5");
    expect(reply.status, reply.text).toBe(200);
  });

  test("telehealth-mobile reads a patient over a connection without a certificate, by a proof of its key", async ({
    expect,
  }) => {
    const { dev } = phylax;
    const client = phylax.client("telehealth-mobile");
    expect(client).toMatchObject({ dpop: true, auth: "private_key_jwt" });
    const key: JWK = JSON.parse(readFileSync(client.jwk ?? "", "utf8"));
    const token = await phylax.token("telehealth-mobile");
    const read = async (nonce?: string) => {
      const proven = { url: `${dev.fhir}/Patient/amara-okafor`, method: "GET", nonce, token };
      return send(dev, undefined, proven.url, {
        headers: { authorization: `DPoP ${token}`, dpop: await keyProof(key, proven) },
      });
    };
    const first = await read();
    expect(first.status).toBe(401);
    const second = await read(String(first.headers["dpop-nonce"]));
    expect(second.status, second.text).toBe(200);
    expect(JSON.parse(second.text)).toMatchObject({ resourceType: "Patient", id: "amara-okafor" });
  });

  test("patient-web gets a token at the users' sign-in, and nowhere more", async ({ expect }) => {
    expect(phylax.client("patient-web")).toMatchObject({ auth: "external", dpop: true, patient: null });
    await expect(phylax.token("patient-web")).rejects.toThrow("docs/sign-in.md");
  });

  test("emergency-room reads a patient with a justification, which opens a review on record with the person", async ({
    expect,
  }) => {
    expect((await phylax.ask("emergency-room", "Patient/amara-okafor")).status, "no reason").toBe(400);
    const headers = { "phylax-justification": "unconscious after a fall" };
    const reply = await phylax.ask("emergency-room", "Patient/amara-okafor", { headers });
    expect(reply.status, reply.text).toBe(200);
    const events = (await openLedger(phylax.dev)).map(({ event }) => event);
    expect(events.find(({ id }) => id === reply.headers["x-request-id"])?.emergency).toMatchObject({
      justification: "unconscious after a fall",
      personnel: "Dr. Linnea Lindqvist",
      facility: "Lantern Telehealth",
      review: expect.stringMatching(/^[0-9a-f]{32}$/u),
    });
  });

  test("lapsed gets no token", async ({ expect }) => {
    await expect(phylax.token("lapsed")).rejects.toThrow("unauthorized_client");
  });
});

test("the patient's app reads its own patient's rows, another patient is not found, and its record names the patient's user", async ({
  expect,
}) => {
  const own = await phylax.ask("patient-app", "Observation?_count=5");
  expect(own.status, own.text).toBe(200);
  const bundle: {
    readonly entry?: readonly { readonly resource: { readonly subject?: { readonly reference?: string } } }[];
  } = JSON.parse(own.text);
  expect(bundle.entry?.length).toBeGreaterThan(0);
  expect(new Set(bundle.entry?.map(({ resource }) => resource.subject?.reference))).toEqual(
    new Set(["Patient/amara-okafor"]),
  );
  const others: { readonly entry?: readonly { readonly resource: { readonly id: string } }[] } = JSON.parse(
    (await phylax.ask("telehealth", "Patient?_count=2")).text,
  );
  const other = others.entry?.map(({ resource }) => resource.id).find((id) => id !== "amara-okafor");
  expect((await phylax.ask("patient-app", `Patient/${other}`)).status).toBe(404);
  const events = (await openLedger(phylax.dev)).map(({ event }) => event);
  expect(events.find(({ who }) => who?.client === "patient-app")?.who).toMatchObject({
    subject: "user-of-amara-okafor",
    patient: "amara-okafor",
  });
});

test("the sandbox's issuer signs for its own purpose only", async ({ expect }) => {
  await expect(phylax.token("patient-app", { purpose: "TREAT" })).rejects.toThrow("PATRQT only");
});

test("sampler is refused a page with more records than it may get, with the reason", async ({ expect }) => {
  expect((await phylax.ask("sampler", "Observation?_count=20")).status).toBe(200);
  const more = await phylax.ask("sampler", "Observation?_count=26");
  expect(more.status).toBe(429);
  expect(more.headers["ratelimit-policy"]).toContain('"records";q=25;w=60;qu="records"');
});

test("tiny has five requests a minute, and the sixth answer says when to come back", async ({ expect }) => {
  const statuses: number[] = [];
  for (let i = 0; i < 7; i++) statuses.push((await phylax.ask("tiny", "Patient/amara-okafor")).status);
  expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(5);
  expect(statuses.at(-1)).toBe(429);
});

test("charting changes the records that it treats, and diary adds the patient's measurements and changes no existing row", async ({
  expect,
}) => {
  const write = (id: string, method: string, path: string, body: unknown, type = "application/fhir+json") =>
    phylax.ask(id, path, { method, headers: { "content-type": type }, body: JSON.stringify(body) });
  const pulse = {
    resourceType: "Observation",
    status: "final",
    category: [
      {
        coding: [
          { system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" },
        ],
      },
    ],
    code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
    subject: { reference: "Patient/amara-okafor" },
    valueQuantity: { value: 64, unit: "beats/minute", system: "http://unitsofmeasure.org", code: "/min" },
  };
  const sent = await write("diary", "POST", "Observation", pulse);
  expect(sent.status, sent.text).toBe(201);
  const { id }: { readonly id: string } = JSON.parse(sent.text);
  expect((await phylax.ask("diary", `Observation/${id}`)).status).toBe(200);
  expect((await write("diary", "PUT", `Observation/${id}`, { ...pulse, id })).status).toBe(403);
  expect((await write("telehealth", "POST", "Observation", pulse)).status).toBe(403);

  const amended = [{ op: "replace", path: "/status", value: "amended" }];
  const changed = await write(
    "charting",
    "PATCH",
    `Observation/${id}`,
    amended,
    "application/json-patch+json",
  );
  expect(changed.status, changed.text).toBe(200);
  expect(JSON.parse(changed.text)).toMatchObject({ status: "amended", valueQuantity: { value: 64 } });
});

test("two studies read the same rows in two forms, by codes that the worker jobs keeps and neither shares", async ({
  expect,
}) => {
  const rowsOf = async (study: string, path: string): Promise<readonly CodedRow[]> => {
    const reply = await phylax.ask(study, path);
    expect(reply.status, reply.text).toBe(200);
    const { entry = [] }: { entry?: readonly { readonly resource: CodedRow }[] } = JSON.parse(reply.text);
    return entry.map(({ resource }) => resource);
  };
  const read = async (study: string) => {
    const patients = await rowsOf(study, "Patient");
    const conditions = await rowsOf(study, "Condition");
    const subject = conditions[0]?.subject?.reference ?? "";
    const again = await rowsOf(study, `Condition?patient=${subject}`);
    return { patients, subject, again, ids: patients.map(({ id }) => id) };
  };
  const [safe, limited] = [await read("study"), await read("limited-study")];
  for (const { patients, subject, again, ids } of [safe, limited]) {
    expect(ids.length).toBeGreaterThan(1);
    expect(ids.filter((id) => !/^[0-9a-f]{32}$/u.test(id))).toEqual([]);
    expect(patients.filter((row) => "name" in row || "identifier" in row)).toEqual([]);
    expect(ids.map((id) => `Patient/${id}`)).toContain(subject);
    expect(new Set(again.map((row) => row.subject?.reference))).toEqual(new Set([subject]));
  }
  expect(safe.patients.filter(({ birthDate = "" }) => birthDate.length > 4)).toEqual([]);
  expect(limited.patients.some(({ birthDate = "" }) => birthDate.length === 10)).toBe(true);
  expect(safe.ids.filter((id) => limited.ids.includes(id))).toEqual([]);
  const refused = async (study: string, path: string) => (await phylax.ask(study, path)).status;
  expect(await refused("study", limited.subject)).toBe(404);
  expect(await refused("study", "Patient/amara-okafor")).toBe(404);
  expect(await refused("study", "Condition?code=urn:hospital|MRN-1")).toBe(403);
});

interface CodedRow {
  readonly id: string;
  readonly birthDate?: string;
  readonly subject?: { readonly reference: string };
}
