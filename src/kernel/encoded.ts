const encoder = new TextEncoder();

/** The UTF-8 bytes of a text. */
export const utf8 = (text: string): Uint8Array => encoder.encode(text);

/** RFC 4648 §5, without padding: JOSE uses it. */
export const toBase64url = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");

/** The form of a SHA-256 in base64url: of a thumbprint, and of a hashed name. */
export const sha256Form = /^[A-Za-z0-9_-]{43}$/u;
