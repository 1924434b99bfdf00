import type { Algorithm } from "#identity/jose/jwk";

/**
 * The parameters of WebCrypto for each algorithm, for its keys and its signatures (RFC 7518 §3.3 to §3.5, RFC 8037
 * §3.1).
 */
export const parametersOf = {
  PS256: { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 },
  RS384: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  EdDSA: { name: "Ed25519" },
  Ed25519: { name: "Ed25519" },
} as const satisfies Readonly<Record<Algorithm, object>>;

const rsaBitsMin = 2_048; // RFC 7518 §3.3 and §3.5, FAPI 2.0 §5.4.1

/**
 * Imports a JWK that its schema has checked, for this use alone; a private key cannot be exported again. Throws
 * for numbers that are no key (a point off its curve), and for a short key of RSA.
 */
export async function importKey(
  jwk: JsonWebKey,
  algorithm: Algorithm,
  use: "sign" | "verify",
): Promise<CryptoKey> {
  const key = await crypto.subtle.importKey("jwk", jwk, parametersOf[algorithm], use === "verify", [use]);
  if ("modulusLength" in key.algorithm && key.algorithm.modulusLength < rsaBitsMin)
    throw new Error("a key of RSA with less than 2,048 bits");
  return key;
}
