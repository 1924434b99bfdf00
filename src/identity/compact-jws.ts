import { err, ok, type Result } from "#kernel/result";

/** A compact JWS (RFC 7515 §7.1) taken apart; nothing in it is proven. */
export interface CompactJws {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
}

export type JwsRefusal = { readonly reason: "jws_malformed" };

const charactersMax = 8_192;
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Takes a JWS of JSON claims apart. */
export function readCompactJws(text: string): Result<CompactJws, JwsRefusal> {
  const header = readJwsHeader(text);
  if (!header.ok) return header;
  const claims = json(text.split(".")[1] ?? "");
  return claims === undefined ? err({ reason: "jws_malformed" }) : ok({ header: header.value, claims });
}

/**
 * Reads the header of a JWS if its text is the only way to write it. Libraries accept padding, spaces and stray last bits,
 * so one token would have many texts, and whatever is keyed by its text could be walked around.
 */
export function readJwsHeader(text: string): Result<CompactJws["header"], JwsRefusal> {
  const parts = text.split(".");
  if (text.length > charactersMax || parts.length !== 3 || !parts.every(canonical)) return err({ reason: "jws_malformed" });
  const header = json(parts[0] ?? "");
  return header === undefined ? err({ reason: "jws_malformed" }) : ok(header);
}

/** RFC 7515 §2 base64url: no padding, and the unused bits of the last character are zero (RFC 4648 §3.5). */
function canonical(part: string): boolean {
  if (!/^[A-Za-z0-9_-]+$/u.test(part) || part.length % 4 === 1) return false;
  const unused = part.length % 4 === 2 ? 0b1111 : part.length % 4 === 3 ? 0b11 : 0;
  return (alphabet.indexOf(part.at(-1) ?? "") & unused) === 0;
}

function json(part: string): Record<string, unknown> | undefined {
  try {
    const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (byte) => byte.charCodeAt(0));
    const value: unknown = JSON.parse(strict.decode(bytes));
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return value as Record<string, unknown>; // a JSON object, by the line above
  } catch {
    return undefined; // bad UTF-8 or bad JSON: the caller's fault, told by the answer
  }
}
