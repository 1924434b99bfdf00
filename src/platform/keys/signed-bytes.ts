import type { PublicJwk } from "#identity/jose/jwk";
import type { requestAlgorithm } from "#identity/request-signature";
import { importPublicKey } from "./public-key.ts";

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
      signatureParameters[algorithm],
      await importPublicKey(key, algorithm),
      signature,
      bytes,
    );
  } catch {
    return false; // an invalid key (a point off its curve): nothing was proven
  }
}

/** RFC 7518 §3.4, §3.5; RFC 8037 §3.1. */
export const signatureParameters = {
  ES256: { name: "ECDSA", hash: "SHA-256" },
  PS256: { name: "RSA-PSS", saltLength: 32 },
  EdDSA: { name: "Ed25519" },
} as const;
