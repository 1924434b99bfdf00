import type { Algorithm, PublicJwk } from "#identity/jose/jwk";
import { parametersOf } from "./import-key.ts";
import { importPublicKey } from "./public-key.ts";

/** True when a key made a signature over the bytes. Never throws. */
export async function signedBytes(
  bytes: Uint8Array,
  signature: Uint8Array,
  key: PublicJwk,
  algorithm: Algorithm,
): Promise<boolean> {
  try {
    const imported = await importPublicKey(key, algorithm);
    return await crypto.subtle.verify(parametersOf[algorithm], imported, signature, bytes);
  } catch {
    return false; // an invalid key (a point off its curve): nothing was proven
  }
}
