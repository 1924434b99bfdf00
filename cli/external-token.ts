import { createHash, randomUUID, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { importJWK, SignJWT, type JWK } from "jose";
import type { DevClient, DevFile } from "./dev-file.ts";

const lifetimeSeconds = 300;

interface Wish {
  readonly purpose?: string | undefined;
  readonly scope?: string | undefined;
  readonly resource?: string | undefined;
}

/**
 * Signs what an external issuer would give a client of a development stack: an RFC 9068 access token, bound to the client's
 * certificate (RFC 8705 §3.1). The purpose is not in it: the registry's entry of the issuer says it.
 */
export async function externalToken(
  dev: DevFile,
  client: DevClient,
  { purpose, scope, resource }: Wish,
): Promise<string> {
  const issuer = dev.issuers.find(({ iss }) => iss === client.issuer);
  if (issuer === undefined) throw new Error(`no key of ${client.issuer} is at hand`);
  if (client.dpop)
    throw new Error(`${client.id} gets its tokens when somebody signs in at ${issuer.iss}: docs/sign-in.md`);
  if (purpose !== undefined && purpose !== client.purpose)
    throw new Error(`tokens of ${issuer.iss} are for ${client.purpose} only`);
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
    jti: randomUUID(),
    iat: now,
    exp: now + lifetimeSeconds,
    cnf: { "x5t#S256": createHash("sha256").update(raw).digest("base64url") },
  };
  return new SignJWT(claims)
    .setProtectedHeader({ alg: issuer.alg, kid: issuer.kid, typ: "at+jwt" })
    .sign(await importJWK(jwk));
}
