import { toBase64url } from "#kernel/encoded";

/**
 * True if a text is the only way to write its bytes: no padding, and the unused bits of the last character
 * are zero (RFC 7515 §2, RFC 4648 §3.5).
 */
export const isBase64url = (text: string): boolean => text !== "" && toBase64url(decodeBase64(text)) === text;

/** SHA-256 of a text's UTF-8 bytes, as JOSE writes it: 43 characters. */
export async function sha256Base64url(text: string): Promise<string> {
  return toBase64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))));
}

/** The bytes of a text in base64 or base64url; the caller has checked its form. */
export const decodeBase64 = (text: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.from(text, "base64"));
