import { compactVerify, importJWK, type CryptoKey } from "jose";
import { readCompactJws, type CompactJws, type JwsRefusal } from "#identity/compact-jws";
import { fits, type Algorithm, type PublicJwk } from "#identity/jwk";
import { err, type Result } from "#kernel/result";

export type SignatureRefusal =
  | JwsRefusal
  | { readonly reason: "algorithm_not_allowed" | "critical_header" | "key_unknown" | "signature_wrong" };

/**
 * Proves a compact JWS by one of these keys and no other: `jku`, `jwk`, `x5u` and `x5c` in its header are never looked at.
 * Keys of one `kid` are told apart by type and algorithm (FAPI 2.0 §5.4.3); a header without `kid` may be any of them.
 */
export async function verifySignature(
  text: string,
  keys: readonly PublicJwk[],
  algorithms: readonly Algorithm[],
): Promise<Result<CompactJws, SignatureRefusal>> {
  const jws = readCompactJws(text);
  if (!jws.ok) return jws;
  const { alg, kid, crit } = jws.value.header;
  const algorithm = algorithms.find((allowed) => allowed === alg);
  if (algorithm === undefined) return err({ reason: "algorithm_not_allowed" });
  if (crit !== undefined) return err({ reason: "critical_header" }); // RFC 7515 §4.1.11: no extension is understood here

  const candidates = keys.filter((key) => fits(key, algorithm) && (kid === undefined || key.kid === kid));
  if (candidates.length === 0) return err({ reason: "key_unknown" });
  for (const key of candidates) {
    if (await signedBy(text, key, algorithm)) return jws;
  }
  return err({ reason: "signature_wrong" });
}

async function signedBy(text: string, key: PublicJwk, algorithm: Algorithm): Promise<boolean> {
  try {
    await compactVerify(text, await imported(key, algorithm), { algorithms: [algorithm] });
    return true;
  } catch {
    return false; // a wrong signature, or a key that is none (a point off its curve): either way nothing was proven
  }
}

const importedMax = 1_024;
const importedKeys = new Map<string, CryptoKey>(); // settled keys only: a request never waits for another's import

/** A key's import costs a fifth of a verification, so each is imported once in an isolate's life. */
async function imported(key: PublicJwk, algorithm: Algorithm): Promise<CryptoKey> {
  const material = materialOf(key);
  const name = `${algorithm} ${JSON.stringify(material)}`;
  const known = importedKeys.get(name);
  if (known !== undefined) return known;
  const made = await importJWK(material, algorithm);
  if (importedKeys.size >= importedMax) importedKeys.delete(importedKeys.keys().next().value ?? "");
  importedKeys.set(name, made);
  return made;
}

/** The numbers alone: what a key says about its use was weighed before. */
function materialOf(key: PublicJwk) {
  if (key.kty === "RSA") return { kty: key.kty, n: key.n, e: key.e };
  if (key.kty === "EC") return { kty: key.kty, crv: key.crv, x: key.x, y: key.y };
  return { kty: key.kty, crv: key.crv, x: key.x };
}
