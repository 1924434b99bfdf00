import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { DevFile } from "../../cli/connection/dev-file.ts";
import { send, type Reply, type Sending } from "../../cli/connection/mutual-tls.ts";
import { issueClientCertificate, x5tS256, type CertificateFiles } from "../../sandbox/certificates.ts";
import { registryLimits } from "../../src/platform/registry/copies/registry-limits.ts";
import { newKey, sign, type Key } from "./credentials.ts";
import type { TestStack } from "./stack.ts";

/** An external identity provider. Phylax knows nothing about it except its public key in the registry. */
export interface Outsider {
  readonly iss: string;
  readonly audience: string;
  readonly key: Key;
}

/** Two providers have the same kid: only the issuer tells their keys apart. */
export const outsider = async (iss: string, audience: string): Promise<Outsider> => ({
  iss,
  audience,
  key: await newKey("ES256", "issuer-1"),
});

export const issuerEntry = ({ iss, audience, key }: Outsider, more: object = {}) => ({
  iss,
  audience,
  jwks: { keys: [key.jwk] },
  algs: ["ES256"],
  purpose: { fixed: ["PATRQT"] },
  ...more,
});

/** A client's certificate from the authority that the front trusts. */
export function certificateFor(
  { dev }: { readonly dev: Pick<DevFile, "clientCa"> },
  name: string,
): Promise<CertificateFiles> {
  return issueClientCertificate(dirname(dev.clientCa.cert), name, `O=Outside, CN=${name}`);
}

export const thumbprint = ({ cert }: CertificateFiles): string => x5tS256(readFileSync(cert, "utf8"));

/** The entries that permit a client something: client, agreement and grant, as in a registry file. */
export function clientEntries(
  client: { readonly id: string } & Readonly<Record<string, unknown>>,
  purpose: string,
  policy: string,
  scopes: string,
) {
  const agreement = `${client.id}-terms`;
  return {
    clients: [client],
    agreements: [
      {
        id: agreement,
        client: client.id,
        purposes: [purpose],
        from: "2026-01-01",
        to: "2036-01-01",
        documentHash: "0".repeat(64),
      },
    ],
    grants: [
      {
        client: client.id,
        origin: "main",
        purpose,
        agreement,
        policy,
        scopes,
        quotas: { default: { requests: 10_000, windowSeconds: 60 } },
      },
    ],
  };
}

/** A client of an external issuer: its certificate, and its entries of a registry file. */
export interface OutsideClient {
  readonly certificate: CertificateFiles;
  readonly entries: ReturnType<typeof clientEntries>;
}

/** @param more members of the client's entry: they replace the usual members. */
export async function outsideClient(
  door: { readonly dev: Pick<DevFile, "clientCa"> },
  { iss }: Outsider,
  id: string,
  grant: { readonly purpose?: string; readonly policy: string; readonly scopes: string },
  more: object = {},
): Promise<OutsideClient> {
  const certificate = await certificateFor(door, id);
  const client = {
    id,
    kind: "patient",
    auth: "external",
    issuer: iss,
    externalClientId: id,
    certificates: [thumbprint(certificate)],
    ...more,
  };
  const { purpose = "PATRQT", policy, scopes } = grant;
  return { certificate, entries: clientEntries(client, purpose, policy, scopes) };
}

/** Joins the lists of several files. */
export function joined(
  ...files: readonly Readonly<Record<string, readonly unknown[]>>[]
): Record<string, unknown[]> {
  const all: Record<string, unknown[]> = {};
  for (const file of files)
    for (const [list, entries] of Object.entries(file)) all[list] = [...(all[list] ?? []), ...entries];
  return all;
}

/**
 * Applies a registry to a stack that earlier files may have used, and returns when its gateway knows new
 * issuers: a gateway reads its list of issuers again after `freshMilliseconds`.
 */
export async function applyToUsedStack(
  { stack }: TestStack,
  document: Readonly<Record<string, readonly unknown[]>>,
): Promise<void> {
  await stack.runtime.applyRegistry(document);
  if (document["issuers"] !== undefined) await delay(registryLimits.freshMilliseconds);
}

/** A starter policy as an entry of a registry file. */
export const starterPolicy = (name: string) => ({
  name,
  body: JSON.parse(readFileSync(join(import.meta.dirname, "../../policies", `${name}.json`), "utf8")),
});

/** An access token as the provider signs it, bound to a certificate. `changes` and `header` alter it. */
export function outsideToken(
  { iss, audience, key }: Outsider,
  certificate: CertificateFiles,
  changes: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss,
    sub: "someone",
    aud: audience,
    iat: now,
    exp: now + 300,
    jti: randomUUID(),
    cnf: { "x5t#S256": thumbprint(certificate) },
  };
  return sign(key, { ...claims, ...changes }, { typ: "at+jwt", ...header });
}

export function askAs(
  { dev }: { readonly dev: DevFile },
  certificate: CertificateFiles | undefined,
  token: string,
  path: string,
  sending: Sending = {},
): Promise<Reply> {
  const headers = { authorization: `Bearer ${token}`, ...sending.headers };
  return send(dev, certificate, path.startsWith("https:") ? path : `${dev.fhir}/${path}`, {
    ...sending,
    headers,
  });
}

/**
 * The reply to a request. A GET is asked again, for ten seconds at most, while it is 503 and `mayFail` is false: on
 * a busy machine the registry may need longer than the two seconds that the gateway waits for Consents. A write is
 * asked once.
 */
export async function askPatiently(
  ask: () => Promise<Reply>,
  { method = "GET" }: Sending,
  mayFail: () => boolean,
): Promise<Reply> {
  let reply = await ask();
  if (method !== "GET") return reply;
  for (let again = 0; again < 50 && reply.status === 503 && !mayFail(); again += 1) {
    await delay(200);
    reply = await ask();
  }
  return reply;
}
