import { createHash, randomUUID } from "node:crypto";
import type { JWK } from "jose";
import { importJWK } from "jose/key/import";
import { SignJWT } from "jose/jwt/sign";

/** The request that a proof is for. */
export interface Proven {
  readonly url: string;
  readonly method: string;
  /** `DPoP-Nonce` of the gateway's last answer. */
  readonly nonce?: string | undefined;
  /** The access token that is sent with the proof. */
  readonly token?: string | undefined;
}

/** A DPoP proof (RFC 9449 §4.2), signed with a private key that names its `alg`. */
export async function keyProof(key: JWK, { url, method, nonce, token }: Proven): Promise<string> {
  const { origin, pathname } = new URL(url);
  const { kty = "", crv, x, y } = key;
  const ath = token === undefined ? {} : { ath: createHash("sha256").update(token).digest("base64url") };
  return new SignJWT({
    jti: randomUUID(),
    htm: method,
    htu: origin + pathname,
    ...(nonce !== undefined && { nonce }),
    ...ath,
  })
    .setProtectedHeader({
      alg: key.alg ?? "ES256",
      typ: "dpop+jwt",
      jwk: { kty, ...(crv && { crv }), ...(x && { x }), ...(y && { y }) },
    })
    .setIssuedAt()
    .sign(await importJWK(key));
}
