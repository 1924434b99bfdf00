import type { CompactJws } from "#identity/jose/compact-jws";
import type { Algorithm, PublicJwk } from "#identity/jose/jwk";
import type { KeySets } from "#identity/ports";
import type { Result } from "#kernel/result";
import { proveSignature, type SignatureCheck, type SignatureRefusal } from "./verify-signature.ts";

/** Whose keys prove a signature: those that the registry has, or those at an address that it has. */
export interface KeyHolder {
  readonly keys: readonly PublicJwk[];
  readonly jwksUri?: string | undefined;
  /** Of an issuer: whose metadata these must be, if that address is of metadata. */
  readonly iss?: string | undefined;
}

/**
 * Proves a JWS by its holder's keys. A key that is not among those fetched may be a new one: they are asked for anew, once per interval
 * whoever asks. Throws when keys have to be fetched and cannot be.
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
  // Without a `kid`, a new key shows only by no known one having signed.
  const isNew =
    !proven.ok &&
    (proven.error.reason === "key_unknown" ||
      (proven.error.reason === "signature_invalid" && header["kid"] === undefined));
  if (!isNew) return proven;
  const asked = await keySets.anew(jwksUri, iss);
  return asked === known ? proven : proveSignature(text, header, asked, algorithms, isSigned);
}
