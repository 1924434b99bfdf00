import type { CompactJws } from "#identity/jose/compact-jws";
import type { TrustedIssuer } from "#identity/issuer";
import type { PublicJwk } from "#identity/jose/jwk";
import type { KeySets } from "#identity/ports";
import { isAccessTokenType, type AccessTokenRefusal } from "#identity/token";
import { err, type Result } from "#kernel/result";
import { proveByHolder, type KeyHolder } from "./prove-by-holder.ts";
import type { SignatureCheck } from "./verify-signature.ts";

/**
 * Proves that a JWS is an access token (RFC 9068 §2.1) signed with one of this owner's keys, and names
 * which. Throws when keys must be fetched and cannot be.
 */
export async function proveAccessToken(
  text: string,
  header: CompactJws["header"],
  by: KeyHolder & Pick<TrustedIssuer, "algorithms">,
  keySets: KeySets,
  isSigned?: SignatureCheck,
): Promise<Result<PublicJwk, AccessTokenRefusal>> {
  const proven = await proveByHolder(text, header, by, by.algorithms, keySets, isSigned);
  return proven.ok && !isAccessTokenType(header["typ"]) ? err({ reason: "token_type_invalid" }) : proven;
}
