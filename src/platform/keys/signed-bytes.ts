import type { PublicJwk } from "#identity/jose/jwk";
import type { requestAlgorithm } from "#identity/request-signature";
import { importPublicKey } from "./public-key.ts";
import { cryptoAlgorithms } from "./web-crypto.ts";

type RequestAlgorithm = NonNullable<ReturnType<typeof requestAlgorithm>>["algorithm"];

/**
 * True when a key made a signature over the bytes themselves, without a JWS around them (RFC 9421 §3.3.7).
 */
export async function signedBytes(
  bytes: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
  key: PublicJwk,
  algorithm: RequestAlgorithm,
): Promise<boolean> {
  try {
    return await crypto.subtle.verify(
      cryptoAlgorithms[algorithm],
      await importPublicKey(key, algorithm),
      signature,
      bytes,
    );
  } catch {
    return false; // an invalid key (a point off its curve): nothing was proven
  }
}
