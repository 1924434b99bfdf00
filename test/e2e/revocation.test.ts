import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, test } from "vitest";
import type { Denial } from "#identity/denial";
import { instant } from "#kernel/clock";
import { operatorOf } from "../../cli/dev-file.ts";
import { send } from "../../cli/mutual-tls.ts";
import { ensureServerCertificate } from "../../sandbox/certificates.ts";
import { startFront, type Front } from "../../sandbox/front.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const patient = "Patient/amara-okafor";
let phylax: TestStack;
let state = "";
let fronts: readonly Front[] = [];
/** The FHIR base of each gateway: one's own TLS front stands before each of them. */
let bases: readonly string[] = [];
beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), "phylax-revocation-"));
  phylax = await startTestStack({ state, gatewaysElsewhere: 3 });
  const server = await ensureServerCertificate(join(state, "pki"));
  const clientCa = phylax.dev.clientCa.cert;
  fronts = await Promise.all(phylax.stack.runtime.gatewaysElsewhere.map((target) => startFront({ port: 0, server, clientCa, target })));
  bases = [phylax.dev.fhir, ...fronts.map(({ port }) => `https://localhost:${port}/v1/fhir/main`)];
}, 60_000);
afterAll(async () => {
  for (const front of fronts) await front.close();
  await phylax.close();
  rmSync(state, { recursive: true, force: true });
});

/** What an operator does at the operators' door. */
async function operate(what: "revocations" | "revocations/lift", denial: Denial): Promise<number> {
  const reply = await send(phylax.dev, operatorOf(phylax.dev, undefined), `${phylax.dev.ops}/api/${what}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(denial),
  });
  return reply.status;
}
const revoke = (denial: Denial) => operate("revocations", denial);
const lift = (denial: Denial) => operate("revocations/lift", denial);

/** What the gateways answer: one status when they agree. */
async function read(client: string, token: string): Promise<number | string> {
  const ask = (base: string) =>
    send(phylax.dev, phylax.client(client), `${base}/${patient}`, { headers: { authorization: `Bearer ${token}` } });
  const statuses = new Set((await Promise.all(bases.map(ask))).map(({ status }) => status));
  const [only = 0] = statuses;
  return statuses.size === 1 ? only : [...statuses].join(" and ");
}
const isGivenToken = async (client: string) => {
  try {
    await phylax.token(client);
    return true;
  } catch (fault) {
    if (!String(fault).includes("invalid_client")) throw fault;
    return false;
  }
};

/** Milliseconds until an answer is so, asked for ten times a second; more than eleven seconds when it never is. */
async function until(status: unknown, ask: () => Promise<unknown>): Promise<number> {
  const begun = Date.now();
  while (Date.now() - begun < 11_000) {
    if ((await ask()) === status) return Date.now() - begun;
    await new Promise((later) => setTimeout(later, 100));
  }
  return Number.POSITIVE_INFINITY;
}

test("T20: a denied token, certificate, client and key are refused by four gateways within ten seconds, and nothing else is", async ({
  expect,
}) => {
  const [stolen, kept] = [await phylax.token("telehealth"), await phylax.token("telehealth")];
  const [payer, health] = [await phylax.token("payer"), await phylax.token("public-health")];
  const reads = {
    stolen: () => read("telehealth", stolen),
    payer: () => read("payer", payer),
    health: () => read("public-health", health),
  };
  // Until each gateway holds leases with tokens left in them, which know nothing of what comes.
  for (let n = 0; n < 10; n += 1)
    for (const ask of [...Object.values(reads), () => read("telehealth", kept)]) expect(await ask()).toBe(200);

  const { jti = "", exp = 0 } = decodeJwt(stolen);
  const x5t = String((decodeJwt(payer)["cnf"] as Record<string, unknown>)["x5t#S256"]); // every token of ours is bound
  const denials: readonly Denial[] = [
    { kind: "token", issuer: phylax.dev.gateway, id: jti, until: instant(exp * 1000) },
    { kind: "certificate", x5t },
    { kind: "client", client: "public-health" },
    { kind: "key", issuer: "telehealth", keyId: "telehealth-1" },
  ];
  for (const denial of denials) expect(await revoke(denial)).toBe(200);
  const slowest = Math.max(
    ...(await Promise.all([
      ...Object.values(reads).map((ask) => until(401, ask)),
      ...["telehealth", "payer", "public-health"].map((client) => until(false, () => isGivenToken(client))),
    ])),
  );
  expect(slowest).toBeLessThanOrEqual(10_000);
  expect(await read("telehealth", kept), "another token of the same client").toBe(200);

  const signingKey: Denial = { kind: "key", issuer: phylax.dev.gateway, keyId: "token-1" };
  await revoke(signingKey);
  expect(await until(401, () => read("telehealth", kept)), "every token that the key signed").toBeLessThanOrEqual(10_000);

  for (const denial of [...denials, signingKey]) await lift(denial);
  const back = [...Object.values(reads), () => read("telehealth", kept)].map((ask) => until(200, ask));
  expect(Math.max(...(await Promise.all(back)))).toBeLessThanOrEqual(10_000);
}, 60_000);

test("a denied agreement is forbidden within ten seconds, though who asks is proven", async ({ expect }) => {
  const token = await phylax.token("payer");
  const ask = () => read("payer", token);
  expect(await ask()).toBe(200);
  const denial: Denial = { kind: "agreement", client: "payer", agreement: "payer-agreement" };
  await revoke(denial);
  expect(await until(403, ask)).toBeLessThanOrEqual(10_000);
  await lift(denial);
  expect(await until(200, ask)).toBeLessThanOrEqual(10_000);
}, 30_000);

test("a quota of five is five, asked for by 40 requests at once at four gateways", async ({ expect }) => {
  const token = await phylax.token("tiny");
  const left = 60_000 - (Date.now() % 60_000); // windows begin with the minute
  if (left < 5_000) await new Promise((next) => setTimeout(next, left + 100));
  const ask = (_: unknown, n: number) =>
    send(phylax.dev, phylax.client("tiny"), `${bases[n % bases.length]}/${patient}`, { headers: { authorization: `Bearer ${token}` } });
  const statuses = (await Promise.all(Array.from({ length: 40 }, ask))).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(5);
  expect(statuses.filter((status) => status === 429)).toHaveLength(35);
}, 30_000);
