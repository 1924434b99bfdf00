import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { JWK } from "jose";
import { issueClientCertificate, type CertificateFiles } from "../certificates.ts";
import { endpointsAt } from "../identity-provider/endpoints.ts";
import { demoClients, entityOf, type DemoClient } from "./demo-clients.ts";
import type { SeedDocument } from "./seed.ts";
import type { SandboxIssuer } from "./issuer.ts";
import { keptKey, publicHalf } from "../keys.ts";

export interface DemoSetting {
  readonly state: string;
  readonly pki: string;
  /**
   * `traits`: the members of its entry that say what it can do. `bearerFrom`: the name of the secret with its bearer
   * token.
   */
  readonly origin: {
    readonly name: string;
    readonly url: string;
    readonly traits: object;
    readonly bearerFrom: string | undefined;
  };
  /** The built-in issuer. */
  readonly gateway: string;
  /** FHIR base: the audience of every token here. */
  readonly audience: string;
  /** An existing patient; undefined: no client is limited to a patient. */
  readonly patient: string | undefined;
  readonly issuer: SandboxIssuer;
}

/** The demonstration's clients for `dev.json`, and the registry document that provisions them. */
export interface Demo {
  readonly registry: SeedDocument;
  readonly clients: readonly Record<string, unknown>[];
}

/** A client with its certificate and, if it proves itself with a key, with that key. */
interface Equipped {
  readonly client: DemoClient;
  readonly files: CertificateFiles;
  readonly key: { readonly path: string; readonly jwk: JWK } | undefined;
  readonly patient: string | undefined;
}

/**
 * Makes (or finds) each client's certificate and key below `state`, and writes the registry document for
 * them.
 */
export async function demo(setting: DemoSetting): Promise<Demo> {
  const chosen = demoClients.filter(
    ({ ofPatient }) => ofPatient === undefined || setting.patient !== undefined,
  );
  const equipped: Equipped[] = [];
  for (const client of chosen) equipped.push(await equip(client, setting));
  return { registry: registryOf(equipped, setting), clients: equipped.map((one) => devClient(one, setting)) };
}

async function equip(client: DemoClient, { state, pki, patient }: DemoSetting): Promise<Equipped> {
  const files = await issueClientCertificate(pki, client.id, client.subject);
  const path = join(state, "clients", `${client.id}.jwk.json`);
  const key =
    client.auth === "private_key_jwt"
      ? { path, jwk: await keptKey(path, "ES256", `${client.id}-1`) }
      : undefined;
  return { client, files, key, patient: client.ofPatient && patient };
}

function registryOf(equipped: readonly Equipped[], { origin, issuer }: DemoSetting): SeedDocument {
  const policies = [...new Set(equipped.map(({ client }) => client.policy))];
  return {
    origins: [
      {
        name: origin.name,
        url: origin.url,
        credentials:
          origin.bearerFrom === undefined ? { kind: "none" } : { kind: "bearer", secret: origin.bearerFrom },
        ...origin.traits,
      },
    ],
    issuers: [
      {
        iss: issuer.iss,
        jwks: { keys: [issuer.publicKey] },
        algs: [issuer.alg],
        audience: issuer.audience,
        purpose: { claim: "purpose_of_use" },
        claims: { client: "client_id", patient: "patient", fhirUser: "fhirUser", scope: "scope" },
        // `main` names no issuer, so it offers apps no endpoints until its registry entry does
        // (docs/sign-in.md)
        endpoints: endpointsAt(issuer.iss),
      },
    ],
    policies: policies.map((name) => ({ name, body: policyBody(name) })),
    clients: equipped.map(({ client, files, key, patient }) => ({
      id: client.id,
      kind: client.kind,
      status: "active",
      auth: client.auth,
      ...(client.auth === "external" && { issuer: issuer.iss, externalClientId: client.id }),
      ...(key !== undefined && { jwks: { keys: [publicHalf(key.jwk)] } }),
      ...(client.dpop ? { dpop: true } : { certificates: [readFileSync(files.cert, "utf8")] }),
      ...(patient !== undefined && { patient }),
      entity: entityOf(client),
    })),
    agreements: equipped.map(({ client: { id, purpose, agreement } }) => ({
      id: `${id}-agreement`,
      client: id,
      purposes: [purpose],
      ...agreement,
      documentHash: "0".repeat(64), // no document was signed in a sandbox
    })),
    grants: equipped.map(
      ({
        client: { id, purpose, policy, scope, quota, quotaPerSubject, quotaOfRecords, signed, breakGlass },
      }) => ({
        client: id,
        origin: origin.name,
        purpose,
        agreement: `${id}-agreement`,
        policy,
        scopes: scope,
        quotas: {
          default: quota,
          ...(quotaPerSubject !== undefined && { perSubject: quotaPerSubject }),
          ...(quotaOfRecords !== undefined && { records: quotaOfRecords }),
        },
        ...(breakGlass && { breakGlass }),
        ...(signed && { signedRequests: true, signedResponses: true }),
      }),
    ),
  };
}

function policyBody(name: string): unknown {
  if (name === "emergency-room") return { ...(policyBody("treat") as object), name, purposes: ["ETREAT"] };
  return JSON.parse(readFileSync(join(import.meta.dirname, "../..", "policies", `${name}.json`), "utf8"));
}

/** A client in the form of `dev.json`: every key is present, with null for an absent value. */
function devClient(
  { client, files, key, patient }: Equipped,
  { audience, gateway, issuer }: DemoSetting,
): Record<string, unknown> {
  return {
    id: client.id,
    kind: client.kind,
    auth: client.auth,
    issuer: client.auth === "external" ? issuer.iss : gateway, // the issuer of its tokens
    audience,
    cert: files.cert,
    key: files.key,
    jwk: key?.path ?? null,
    scope: client.scope,
    purpose: client.purpose,
    purposes: [client.purpose],
    dpop: client.dpop ?? false,
    sub: patient === undefined ? null : `user-of-${patient}`,
    patient: patient ?? null,
    describe: client.describe,
  };
}
