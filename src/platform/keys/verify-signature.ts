import { decodeBase64 } from "#identity/jose/base64url";
import type { CompactJws, SignatureRefusal } from "#identity/jose/compact-jws";
import { fits, type Algorithm, type PublicJwk } from "#identity/jose/jwk";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { signedBytes } from "./signed-bytes.ts";

/**
 * Proves a JWS, whose canonical text has this header, by one of the given keys. The header's `jku`, `jwk`,
 * `x5u` and `x5c` are never used. Keys with the same `kid` are distinguished by type and algorithm (FAPI 2.0
 * §5.4.3); a header without `kid` may mean any of them.
 */
export async function proveSignature(
  text: string,
  { alg, kid, crit }: CompactJws["header"],
  keys: readonly PublicJwk[],
  algorithms: readonly Algorithm[],
  isSigned: SignatureCheck = isSignedBy,
): Promise<Result<PublicJwk, SignatureRefusal>> {
  const algorithm = algorithms.find((allowed) => allowed === alg);
  if (algorithm === undefined) return err({ reason: "algorithm_not_allowed" });
  // RFC 7515 §4.1.11: no extension is understood here
  if (crit !== undefined) return err({ reason: "critical_header_not_supported" });

  const candidates = keys.filter((key) => fits(key, algorithm) && (kid === undefined || key.kid === kid));
  if (candidates.length === 0) return err({ reason: "key_unknown" });
  for (const key of candidates) {
    if (await isSigned(text, key, algorithm)) return ok(key);
  }
  return err({ reason: "signature_invalid" });
}

/** Answers whether a JWS was signed with a key. Never throws. */
export type SignatureCheck = (text: string, key: PublicJwk, algorithm: Algorithm) => Promise<boolean>;

/** RFC 7515 §5.2: the signature is over the text before the second full stop. */
export function isSignedBy(text: string, key: PublicJwk, algorithm: Algorithm): Promise<boolean> {
  const at = text.lastIndexOf(".");
  return signedBytes(utf8(text.slice(0, at)), decodeBase64(text.slice(at + 1)), key, algorithm);
}
