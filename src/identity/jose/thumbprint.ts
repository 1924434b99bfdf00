import { sha256Base64url } from "./base64url.ts";
import type { PublicJwk } from "./jwk.ts";

/**
 * RFC 7638 `jkt`: base64url of the SHA-256 over the members that make the key, in order (RFC 8037 appendix
 * A.3 for OKP).
 */
export function thumbprint(key: PublicJwk): Promise<string> {
  return sha256Base64url(JSON.stringify(membersOf(key)));
}

function membersOf(key: PublicJwk): Readonly<Record<string, string>> {
  switch (key.kty) {
    case "RSA":
      return { e: key.e, kty: key.kty, n: key.n };
    case "EC":
      return { crv: key.crv, kty: key.kty, x: key.x, y: key.y };
    case "OKP":
      return { crv: key.crv, kty: key.kty, x: key.x };
  }
}
