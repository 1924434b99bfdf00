import { importJWK, type CryptoKey } from "jose";
import type { Algorithm, PublicJwk } from "#identity/jose/jwk";

const importedMax = 1_024;
const importedKeys = new Map<string, CryptoKey>(); // settled keys only: a request never waits for another's import

/** A key's import costs a fifth of a verification, so each is imported once in an isolate's life. Throws for a key that is none. */
export async function importPublicKey(key: PublicJwk, algorithm: Algorithm): Promise<CryptoKey> {
  const name = publicKeyName(key, algorithm);
  const known = importedKeys.get(name);
  if (known !== undefined) return known;
  const made = await importJWK(materialOf(key), algorithm);
  if (importedKeys.size >= importedMax) importedKeys.delete(importedKeys.keys().next().value ?? "");
  importedKeys.set(name, made);
  return made;
}

/** One text for each key and way to use it, whatever the key is called. */
export const publicKeyName = (key: PublicJwk, algorithm: Algorithm): string =>
  `${algorithm} ${JSON.stringify(materialOf(key))}`;

/** Whether the numbers are a key at all: a point may lie off its curve. */
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

/** The numbers alone: what a key says about its use was weighed before. */
function materialOf(key: PublicJwk) {
  if (key.kty === "RSA") return { kty: key.kty, n: key.n, e: key.e };
  if (key.kty === "EC") return { kty: key.kty, crv: key.crv, x: key.x, y: key.y };
  return { kty: key.kty, crv: key.crv, x: key.x };
}
