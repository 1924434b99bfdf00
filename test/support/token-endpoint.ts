import { exportJWK } from "jose";
import type { AuditEvent } from "#audit/event";
import type { ProofSink, Recorded } from "#audit/ports";
import type { ClientRecord } from "#identity/client";
import { denialName } from "#identity/denial";
import type { Denial } from "#identity/denial-document";
import type { PublicJwk } from "#identity/jose/jwk";
import type { AssertionMemory } from "#identity/ports";
import type { Clock, Instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { assertionVerifier } from "#platform/keys/assertion-verifier";
import { proofVerifier } from "#platform/keys/proof-verifier";
import { tokenIssuer } from "#platform/keys/token-issuer";
import { tokenVerifier } from "#platform/keys/token-verifier";
import { tokenApp } from "#token/app";
import {
  at,
  clientRecord,
  fhirBase,
  newKey,
  now,
  presented,
  publicUrl,
  sign,
  tokenEndpoint,
  type Key,
} from "./credentials.ts";
import { noKeySets } from "./key-sets.ts";

export const [clientKey, serverKey, stranger] = [
  await newKey("ES256", "client-1"),
  await newKey("ES256", "token-1"),
  await newKey("ES256", "client-1"),
];
const signer = new Secret(JSON.stringify({ ...(await exportJWK(serverKey.privateKey)), kid: "token-1" }));
export const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
export const record = clientRecord([clientKey]);
const hash = new Uint8Array(32);
export const proofs = proofVerifier([new Secret(hash)]);

/** The token endpoint with real signatures, and with replay memories that last as long as the test. */
export function endpoint({
  client = record,
  when = at,
  clock = () => when,
  ledger,
  configured = () => Promise.resolve(),
  find,
  denied = [],
  others = [],
  mtlsUrl,
  endings = 3,
}: {
  client?: ClientRecord;
  when?: Instant;
  clock?: Clock;
  ledger?: ProofSink;
  configured?: () => Promise<void>;
  find?: () => Promise<never>;
  denied?: readonly Denial[];
  others?: readonly PublicJwk[];
  mtlsUrl?: string;
  /** The number of tokens that a client may revoke. */
  endings?: number;
} = {}) {
  const events: AuditEvent[] = [];
  const used = new Set<string>();
  const kept: Promise<unknown>[] = [];
  let ids = 0;
  let left = endings;
  const memory: AssertionMemory = {
    first: ({ id }, assertion) => {
      const name = `${id} ${assertion.id}`;
      return Promise.resolve(used.size < used.add(name).size);
    },
  };
  const record = (some: readonly AuditEvent[]): Promise<Recorded> => {
    events.push(...some);
    return Promise.resolve({
      log: "s0-2026h2",
      index: events.length - 1,
      count: some.length,
      frame: 0,
      leafHash: hash,
      frameHash: hash,
    });
  };
  const sink: ProofSink = {
    record,
    recordOnce: (some, { jkt, id }) => {
      const name = `${jkt} ${id}`;
      return used.size < used.add(name).size ? record(some) : Promise.resolve("replayed");
    },
  };
  const issuer = tokenIssuer({ issuer: publicUrl, key: signer, others });
  const verifier = tokenVerifier({
    issuer: publicUrl,
    keys: issuer,
    issuers: { find: () => Promise.resolve(undefined) },
    keySets: noKeySets,
  });
  const deniedNames = new Set(denied.map(denialName));
  const app = tokenApp({
    publicUrl,
    fhirBase,
    namesOf: (base) => (mtlsUrl === undefined ? [base] : [base, mtlsUrl + base.slice(publicUrl.length)]),
    ledger: ledger ?? sink,
    ledgerSpread: 1,
    configured,
    clients: {
      find: find ?? ((id) => Promise.resolve(id === client.id ? client : undefined)),
      findExternal: () => Promise.resolve(undefined),
    },
    clock,
    newId: () => (ids += 1).toString(16).padStart(32, "0"),
    issuer,
    assertions: assertionVerifier({ issuer: publicUrl, tokenEndpoint }, noKeySets),
    proofs,
    tokenEndpoint,
    memory,
    denials: { of: () => Promise.resolve(deniedNames) },
    mtlsUrl,
    tokens: verifier,
    revoker: {
      revoke: (_client, id) => {
        left -= 1;
        if (left >= 0) deniedNames.add(denialName({ kind: "token", issuer: publicUrl, id }));
        return Promise.resolve(left >= 0);
      },
    },
    keepAlive: (work) => void kept.push(work),
    onFault: () => {},
  });
  return { app, events, used, verifier, kept };
}

let jtis = 0;
export const assertion = (changes: Readonly<Record<string, unknown>> = {}, key: Key = clientKey) => {
  jtis += 1;
  return sign(key, {
    iss: "telehealth",
    sub: "telehealth",
    aud: publicUrl,
    jti: `jti-${jtis}`,
    iat: now,
    exp: now + 60,
    ...changes,
  });
};
export const form = async (changes: Readonly<Record<string, string | undefined>> = {}) => {
  const all = {
    grant_type: "client_credentials",
    client_assertion_type: jwtBearer,
    client_assertion: await assertion(),
    ...changes,
  };
  return new URLSearchParams(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  ).toString();
};
/** A request as the edge hands it on. */
export function post(
  body: string,
  tlsClientAuth: unknown = presented("telehealth").tlsClientAuth,
  headers: Readonly<Record<string, string>> = {},
  url = tokenEndpoint,
): Request {
  const request = new Request(url, {
    method: "POST",
    body,
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
  });
  return Object.assign(request, { cf: { tlsClientAuth } });
}
export const ask = async (door: ReturnType<typeof endpoint>, request: Request) => {
  const response = await door.app.fetch(request);
  const text = await response.text();
  // every answer with a body is an object
  const body = JSON.parse(text || "null") as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body };
};
