import { err, ok, type Result } from "#kernel/result";

/** A decoded `name=value` of a query string. */
export interface QueryPair {
  readonly name: string;
  readonly value: string;
}

export type QueryRefusal = {
  readonly reason: "query_too_long" | "form_too_large" | "too_many_parameters" | "query_malformed";
};

// A URL may be longer because of a page's link; a search has no need to be.
const lengthMax = 8_192;
const pairsMax = 64;

/** The limit for a posted form, encoded. */
export const searchFormBytesMax = 65_536;
/** The limit after decoding: the record of a search names it in full, and stores up to this size. */
export const searchTextBytesMax = 24_576;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a raw query string (no `?`), and a form, as application/x-www-form-urlencoded (WHATWG URL §5),
 * strictly: nothing is repaired.
 */
export function readQuery(raw: string, form = ""): Result<readonly QueryPair[], QueryRefusal> {
  if (raw.length > lengthMax) return err({ reason: "query_too_long" });
  if (form.length > searchFormBytesMax) return err({ reason: "form_too_large" });
  const parts = [...raw.split("&"), ...form.split("&")].filter((part) => part !== "");
  if (parts.length > pairsMax) return err({ reason: "too_many_parameters" });
  const pairs: QueryPair[] = [];
  for (const part of parts) {
    const [written = "", ...text] = part.split("=");
    const [name, value] = [decode(written), decode(text.join("="))];
    if (!name || value === undefined) return err({ reason: "query_malformed" });
    pairs.push({ name, value });
  }
  return isTextTooLong(pairs) ? err({ reason: "form_too_large" }) : ok(pairs);
}

/**
 * A query from the text of a resource, in the form of a URL: clients leave spaces and characters outside ASCII in
 * such a text as they are.
 */
export const encodedQuery = (text: string): string =>
  text.replaceAll(/[^!-~\p{Cc}\p{Cs}]+/gu, encodeURIComponent);

/** True for more text than a record holds. Most texts are so short that even three bytes for each unit of UTF-16, the most of UTF-8, are few enough. */
export function isTextTooLong(pairs: readonly QueryPair[]): boolean {
  const units = pairs.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
  if (units * 3 <= searchTextBytesMax) return false;
  const whole = pairs.map(({ name, value }) => name + value).join("");
  return new TextEncoder().encode(whole).length > searchTextBytesMax;
}

/**
 * `undefined` for a broken escape, invalid UTF-8, or a control character, which no FHIR value contains.
 */
function decode(text: string): string | undefined {
  if (!/^(?:[!-$&-~]|%[0-9A-Fa-f]{2})*$/u.test(text)) return undefined;
  const plain = text.replaceAll("+", " ");
  if (!plain.includes("%")) return plain;
  const bytes: number[] = [];
  for (let at = 0; at < plain.length; at += 1) {
    const escaped = plain[at] === "%";
    bytes.push(escaped ? Number.parseInt(plain.slice(at + 1, at + 3), 16) : plain.charCodeAt(at));
    if (escaped) at += 2;
  }
  try {
    const decoded = utf8.decode(new Uint8Array(bytes));
    return /\p{Cc}/u.test(decoded) ? undefined : decoded;
  } catch {
    return undefined;
  }
}
