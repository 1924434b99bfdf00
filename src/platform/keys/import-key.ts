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

/**
 * Imports a JWK that its schema has checked, for this use alone; a private key cannot be exported again. Throws
 * for numbers that are no key (a point off its curve). `importJWK` of jose would bring the algorithms of
 * encryption into the gateway's bundle.
 */
export const importKey = (
  jwk: JsonWebKey,
  algorithm: Algorithm,
  use: "sign" | "verify",
): Promise<CryptoKey> =>
  crypto.subtle.importKey("jwk", jwk, parametersOf[algorithm], use === "verify", [use]);
