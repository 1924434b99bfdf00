import type { CompactJws } from "#identity/jose/compact-jws";
import type { Algorithm, PublicJwk } from "#identity/jose/jwk";
import type { KeySets } from "#identity/ports";
import type { Result } from "#kernel/result";
import type { SignatureRefusal } from "#identity/jose/compact-jws";
import { proveSignature, type SignatureCheck } from "./verify-signature.ts";

/**
 * The owner of the keys that prove a signature: the keys in the registry, or the keys at a registered
 * address.
 */
export interface KeyHolder {
  readonly keys: readonly PublicJwk[];
  readonly jwksUri?: string | undefined;
  /** For an issuer: the metadata must name this issuer, if the address is of metadata. */
  readonly iss?: string | undefined;
}

/**
 * Proves a JWS by its owner's keys. A key that is missing from the fetched keys may be new: they are fetched
 * again, once in each interval for all callers. Throws when keys must be fetched and cannot be.
 */
export async function proveByHolder(
  text: string,
  header: CompactJws["header"],
  { keys, jwksUri, iss }: KeyHolder,
  algorithms: readonly Algorithm[],
  keySets: KeySets,
  isSigned?: SignatureCheck,
): Promise<Result<PublicJwk, SignatureRefusal>> {
  if (jwksUri === undefined) return proveSignature(text, header, keys, algorithms, isSigned);
  const known = await keySets.at(jwksUri, iss);
  const proven = await proveSignature(text, header, known, algorithms, isSigned);
  // Without a `kid`, a new key shows only because no known key made the signature.
  const isNew =
    !proven.ok &&
    (proven.error.reason === "key_unknown" ||
      (proven.error.reason === "signature_invalid" && header["kid"] === undefined));
  if (!isNew) return proven;
  const refetched = await keySets.anew(jwksUri, iss);
  return refetched === known ? proven : proveSignature(text, header, refetched, algorithms, isSigned);
}
