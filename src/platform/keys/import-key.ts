import type { Algorithm } from "#identity/jose/jwk";

/** The parameters of WebCrypto for each algorithm. */
const parametersOf = {
  PS256: { name: "RSA-PSS", hash: "SHA-256" },
  RS384: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  ES384: { name: "ECDSA", namedCurve: "P-384" },
  EdDSA: { name: "Ed25519" },
  Ed25519: { name: "Ed25519" },
} as const satisfies Readonly<Record<Algorithm, object>>;

const modulusBitsMin = 2_048; // RFC 7518 §3.3, §3.5

/**
 * Imports a JWK that its schema has checked, for this use alone; a private key cannot be exported again. Throws
 * for numbers that are no key (a point off its curve) and for an RSA key that is too short.
 */
export async function importKey(
  jwk: JsonWebKey,
  algorithm: Algorithm,
  use: "sign" | "verify",
): Promise<CryptoKey> {
  const key = await crypto.subtle.importKey("jwk", jwk, parametersOf[algorithm], use === "verify", [use]);
  const bits = "modulusLength" in key.algorithm ? key.algorithm.modulusLength : undefined;
  if (jwk.kty === "RSA" && !(typeof bits === "number" && bits >= modulusBitsMin))
    throw new Error("an RSA key is shorter than 2048 bits");
  return key;
}
