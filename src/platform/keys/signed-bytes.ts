import type { Algorithm, PublicJwk } from "#identity/jose/jwk";
import { importPublicKey } from "./public-key.ts";

/** True when a key made a signature over these bytes. Never throws. */
export async function signedBytes(
  bytes: Uint8Array,
  signature: Uint8Array<ArrayBuffer>,
  key: PublicJwk,
  algorithm: Algorithm,
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

/** RFC 7518 §3.3 to §3.5; RFC 8037 §3.1. */
export const signatureParameters = {
  ES256: { name: "ECDSA", hash: "SHA-256" },
  ES384: { name: "ECDSA", hash: "SHA-384" },
  PS256: { name: "RSA-PSS", saltLength: 32 },
  RS384: { name: "RSASSA-PKCS1-v1_5" },
  EdDSA: { name: "Ed25519" },
  Ed25519: { name: "Ed25519" },
} as const satisfies Readonly<Record<Algorithm, object>>;
