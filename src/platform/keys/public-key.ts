import type { Algorithm, PublicJwk } from "#identity/jose/jwk";
import { importKey } from "./import-key.ts";
import { Newest } from "#kernel/memo";

const importedMax = 1_024;
// settled keys only: a request never waits for another request's import
const importedKeys = new Newest<CryptoKey>(importedMax);

/**
 * The import of a key costs a fifth of a verification, so each key is imported once in an isolate's life.
 * Throws for an invalid key.
 */
export async function importPublicKey(key: PublicJwk, algorithm: Algorithm): Promise<CryptoKey> {
  const name = publicKeyName(key, algorithm);
  const known = importedKeys.get(name);
  if (known !== undefined) return known;
  const made = await importKey(materialOf(key), algorithm, "verify");
  importedKeys.set(name, made);
  return made;
}

/** A text for each key and algorithm, independent of the key's name. */
export const publicKeyName = (key: PublicJwk, algorithm: Algorithm): string =>
  `${algorithm} ${JSON.stringify(materialOf(key))}`;

/** True when the numbers form a valid key: a point may lie off its curve. */
export async function isPublicKey(key: PublicJwk): Promise<boolean> {
  try {
    await importPublicKey(
      key,
      key.kty === "RSA" ? "PS256" : key.kty === "OKP" ? "EdDSA" : key.crv === "P-256" ? "ES256" : "ES384",
    );
    return true;
  } catch {
    return false; // the answer to the question
  }
}

/** The numbers alone: the key's stated use was checked before. */
function materialOf(key: PublicJwk) {
  if (key.kty === "RSA") return { kty: key.kty, n: key.n, e: key.e };
  if (key.kty === "EC") return { kty: key.kty, crv: key.crv, x: key.x, y: key.y };
  return { kty: key.kty, crv: key.crv, x: key.x };
}
