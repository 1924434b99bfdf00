import { err, ok, type Result } from "#kernel/result";
import { decodeBase64, isBase64url } from "./base64url.ts";
import { repeatsMember } from "./repeated-member.ts";

/** The parts of a compact JWS (RFC 7515 §7.1); nothing in it is proven. */
export interface CompactJws {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

export type JwsRefusal = { readonly reason: "jws_malformed" };

/** Why the signature of a JWS proves nothing. */
export type SignatureRefusal =
  | JwsRefusal
  | {
      readonly reason:
        | "algorithm_not_allowed"
        | "critical_header_not_supported"
        | "key_unknown"
        | "signature_invalid";
    };

const charactersMax = 8_192;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Splits a JWS of JSON claims into its parts. */
export function readCompactJws(text: string): Result<CompactJws, JwsRefusal> {
  const header = readJwsHeader(text);
  if (!header.ok) return header;
  const claims = json(text.split(".")[1] ?? "");
  return claims === undefined ? err({ reason: "jws_malformed" }) : ok({ header: header.value, claims });
}

/**
 * Reads the header of a JWS if its text is the only way to write it. Libraries accept padding, spaces and
 * stray last bits. Then a token would have many texts, and an attacker could walk around every table that
 * is keyed by the text.
 */
export function readJwsHeader(text: string): Result<CompactJws["header"], JwsRefusal> {
  const parts = text.split(".");
  if (text.length > charactersMax || parts.length !== 3 || !parts.every(isBase64url))
    return err({ reason: "jws_malformed" });
  const header = json(parts[0] ?? "");
  return header === undefined ? err({ reason: "jws_malformed" }) : ok(header);
}

function json(part: string): Record<string, unknown> | undefined {
  try {
    const text = strict.decode(decodeBase64(part));
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value) || repeatsMember(text))
      return undefined;
    return value as Record<string, unknown>; // a JSON object, by the line above
  } catch {
    return undefined; // bad UTF-8 or bad JSON is the caller's mistake, and the answer says so
  }
}
