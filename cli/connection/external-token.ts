import { createHash, randomUUID, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { JWK } from "jose";
import { importJWK } from "jose/key/import";
import { SignJWT } from "jose/jwt/sign";
import type { DevClient } from "./dev-file.ts";
import type { Deployment } from "./deployment.ts";

const lifetimeSeconds = 300;

interface ExternalTokenRequest {
  readonly purpose?: string | undefined;
  readonly scope?: string | undefined;
  readonly resource?: string | undefined;
}

/**
 * Signs the token that an external issuer would give a client of a development stack: an RFC 9068 access
 * token, bound to the client's certificate (RFC 8705 §3.1). The token has no purpose: the client's only purpose counts.
 * An emergency is never a default: its token names the purpose, and a person who signed in now with two factors.
 */
export async function externalToken(
  dev: Deployment,
  client: DevClient,
  { purpose, scope, resource }: ExternalTokenRequest,
): Promise<string> {
  const issuer = dev.issuers.find(({ iss }) => iss === client.issuer);
  if (issuer === undefined)
    throw new Error(`dev.json has no private key of ${client.issuer}: get the token there`);
  if (client.dpop)
    throw new Error(
      `${client.id} gets its tokens when a user signs in at ${issuer.iss}: see docs/sign-in.md`,
    );
  if (purpose !== undefined && purpose !== client.purpose)
    throw new Error(`tokens of ${issuer.iss} are for ${client.purpose} only: leave --purpose out`);
  const jwk: JWK = JSON.parse(readFileSync(issuer.jwk, "utf8"));
  const { raw } = new X509Certificate(readFileSync(client.cert));
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: issuer.iss,
    sub: client.sub ?? client.id,
    aud: resource ?? issuer.audience,
    client_id: client.id,
    scope: scope ?? client.scope,
    ...(client.patient !== null && { patient: client.patient }),
    ...(client.purpose === "ETREAT" && {
      purpose_of_use: client.purpose,
      acr: "https://refeds.org/profile/mfa",
      auth_time: now,
      name: "Dr. Linnea Lindqvist",
    }),
    jti: randomUUID(),
    iat: now,
    exp: now + lifetimeSeconds,
    cnf: { "x5t#S256": createHash("sha256").update(raw).digest("base64url") },
  };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: issuer.alg, kid: issuer.kid, typ: "at+jwt" })
    .sign(await importJWK(jwk));
}
