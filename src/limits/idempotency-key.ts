import { err, ok, type Result } from "#kernel/result";

/**
 * Reads `Idempotency-Key`: a structured-field String (RFC 9651 §3.3.3) without parameters, of 1 to 255
 * characters (draft-ietf-httpapi-idempotency-key-header §2.1).
 *
 * @param header repeated lines arrive joined by a comma, and are refused.
 */
export function readIdempotencyKey(
  header: string,
): Result<string, { readonly reason: "idempotency_key_malformed" }> {
  const { escaped } = sfString.exec(header.trim())?.groups ?? {};
  const key = escaped?.replace(/\\(?<character>["\\])/gu, "$<character>");
  return key === undefined || key.length < 1 || key.length > keyLengthMax
    ? err({ reason: "idempotency_key_malformed" })
    : ok(key);
}

const keyLengthMax = 255;
const sfString = /^"(?<escaped>(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/u;
