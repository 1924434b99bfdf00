import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from "jose";
import type { Certificate } from "#identity/certificate/certificate";
import type { ClientRecord } from "#identity/client";
import { publicJwk, type Algorithm, type PublicJwk } from "#identity/jose/jwk";
import { mustFit } from "#kernel/value-shape";
import { instant } from "#kernel/clock";
import { rememberSecret } from "./secrets-made.ts";

/** The moment at which tests take place, also in seconds. */
export const at = instant(Date.UTC(2026, 10, 24, 12));
export const now = at / 1000;

export const publicUrl = "https://gateway.example.org";
export const tokenEndpoint = `${publicUrl}/oauth/token`;
export const fhirBase = (origin: string) => `${publicUrl}/v1/fhir/${origin}`;

export interface Key {
  readonly alg: Algorithm;
  readonly privateKey: CryptoKey;
  readonly jwk: PublicJwk;
}

export async function newKey(alg: Algorithm, kid: string): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  rememberSecret((await exportJWK(privateKey)).d);
  return { alg, privateKey, jwk: mustFit(publicJwk({ ...(await exportJWK(publicKey)), kid })) };
}

/** Signs claims. `header` adds members to the header or removes `alg` and `kid` from it. */
export async function sign(
  key: Key,
  claims: JWTPayload,
  header: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  return await new SignJWT(claims)
    .setProtectedHeader({ alg: key.alg, kid: key.jwk.kid ?? "", ...header })
    .sign(key.privateKey, { crit: { b64: true } });
}

/** A certificate as Cloudflare hands it on. The test uses its bytes and nothing more. */
export function presented(name: string): {
  readonly x5t: string;
  readonly tlsClientAuth: Readonly<Record<string, unknown>>;
} {
  const der = Buffer.from(`a certificate for ${name}`);
  return {
    x5t: createHash("sha256").update(der).digest("base64url"),
    tlsClientAuth: {
      certPresented: "1",
      certVerified: "SUCCESS",
      certRevoked: "0",
      certRFC9440: `:${der.toString("base64")}:`,
      certRFC9440TooLarge: false,
      certFingerprintSHA256: "0".repeat(64), // only the flood filter reads it
    },
  };
}

/** A certificate that an authority issued. */
export const vouched = (x5t: string): Certificate => ({
  x5t,
  voucher: { kind: "authority", subjectDn: "CN=telehealth", issuerDn: "CN=ca", der: new Uint8Array() },
});

export function clientRecord(keys: readonly Key[], changes: Partial<ClientRecord> = {}): ClientRecord {
  return {
    id: "telehealth",
    kind: "telehealth",
    status: "active",
    authentication: "private_key_jwt",
    tokensBoundTo: "certificate",
    assertionProfile: "fapi2",
    keys: keys.map(({ jwk }) => jwk),
    external: undefined,
    patient: undefined,
    unboundUntil: undefined,
    certificates: [{ x5t: presented("telehealth").x5t, from: undefined, to: undefined }],
    certificateSubjects: [],
    corsOrigins: [],
    agreements: [{ id: "baa", purposes: ["TREAT"], from: instant(at - 1_000), to: instant(at + 1_000) }],
    grants: [
      {
        origin: "main",
        purpose: "TREAT",
        agreement: "baa",
        policyDigest: "sha256:1",
        signedRequests: false,
        signedResponses: false,
        keyedWrites: false,
        measureElements: false,
        scopes: [{ context: "system", type: "*", permissions: ["r", "s"], filters: [] }],
        quotas: { default: { requests: 10, windowSeconds: 60, revision: 1 } },
      },
    ],
    ...changes,
  };
}

/** The claims of an own token of the client `telehealth`, bound to its certificate. */
export const telehealthClaims = () => ({
  iss: publicUrl,
  sub: "telehealth",
  client_id: "telehealth",
  aud: fhirBase("main"),
  exp: now + 300,
  iat: now,
  jti: "0123456789abcdef0123456789abcdef",
  scope: "system/*.rs",
  purpose_of_use: ["TREAT"],
  cnf: { "x5t#S256": presented("telehealth").x5t },
});
