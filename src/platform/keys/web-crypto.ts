import { decodeBase64 } from "#identity/jose/base64url";
import type { Algorithm } from "#identity/jose/jwk";
import { toBase64url, utf8 } from "#kernel/encoded";

/**
 * What Web Cryptography calls the algorithms, for keys and for signatures (RFC 7518 §3.3 to §3.5, RFC 8037
 * §3.1).
 */
export const cryptoAlgorithms = {
  PS256: { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 },
  RS384: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  ES256: { name: "ECDSA", hash: "SHA-256", namedCurve: "P-256" },
  ES384: { name: "ECDSA", hash: "SHA-384", namedCurve: "P-384" },
  EdDSA: { name: "Ed25519" },
  Ed25519: { name: "Ed25519" },
} as const satisfies Readonly<Record<Algorithm, object>>;

/** RFC 7518 §3.3, §3.5. */
const rsaBitsMin = 2_048;

/**
 * Imports a JWK for one use. The JWK has the numbers alone: its stated use was checked before. Throws for an
 * invalid key (a point off its curve), and for an RSA key of less than 2,048 bits.
 */
export async function importKey(
  jwk: JsonWebKey,
  algorithm: Algorithm,
  use: "sign" | "verify",
): Promise<CryptoKey> {
  const key = await crypto.subtle.importKey("jwk", jwk, cryptoAlgorithms[algorithm], false, [use]);
  if ("modulusLength" in key.algorithm && key.algorithm.modulusLength < rsaBitsMin)
    throw new Error("an RSA key of less than 2,048 bits");
  return key;
}

/**
 * Checks the signature of a compact JWS (RFC 7515 §5.2), whose text and header were read strictly. Throws
 * for a key of a different algorithm.
 */
export function verifyJws(text: string, key: CryptoKey, algorithm: Algorithm): Promise<boolean> {
  const end = text.lastIndexOf(".");
  const signature = decodeBase64(text.slice(end + 1));
  return crypto.subtle.verify(cryptoAlgorithms[algorithm], key, signature, utf8(text.slice(0, end)));
}

/** Signs claims as a compact JWS (RFC 7515 §5.1). */
export async function signJws(
  header: { readonly alg: Algorithm; readonly typ: string; readonly kid?: string },
  claims: Readonly<Record<string, unknown>>,
  key: CryptoKey,
): Promise<string> {
  const input = [header, claims].map((part) => toBase64url(utf8(JSON.stringify(part)))).join(".");
  const signature = await crypto.subtle.sign(cryptoAlgorithms[header.alg], key, utf8(input));
  return `${input}.${toBase64url(new Uint8Array(signature))}`;
}
