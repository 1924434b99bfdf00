import { utf8 } from "#fhir/json/bytes";
import { sha256 } from "#ledger/bytes/hash";

/**
 * The gateway's own validator of a representation (RFC 9110 §8.8.3): strong, over what leaves and the policy that it leaves by. Two stored
 * versions that cut to the same bytes have the same one, so it tells nothing that the body does not.
 */
export function etagOf(body: Uint8Array, policyDigest: string): string {
  const hash = sha256(utf8(`phylax etag 1\n${policyDigest}\n`), body);
  return `"${Buffer.from(hash).subarray(0, 24).toString("base64url")}"`;
}

/** What an answer is known by, and since when it is as it is: only what its own body shows. */
export interface Validators {
  readonly etag: string;
  /** An instant of FHIR as the view shows it (`meta.lastUpdated`). */
  readonly lastUpdated: string | undefined;
}

// RFC 9110 §8.8.3; of a list so long nobody needs more.
const entityTag = /^\s*(?:W\/)?(?<tag>"[\x21\x23-\x7e\x80-\xff]*")\s*$/u;
const tagsMax = 64;

/**
 * Whether the asker has the representation already (RFC 9110 §13.1.2, §13.1.3): by its tag, compared weakly, or without one by the time, which
 * only an answer that shows its own can match. A list that is none has no tag in it.
 */
export function isKnown(asked: Headers, { etag, lastUpdated }: Validators): boolean {
  const tags = asked.get("if-none-match");
  if (tags !== null) return tags.trim() === "*" || listed(tags).includes(etag);
  const [since, changed] = [httpDate(asked.get("if-modified-since")), wholeSeconds(lastUpdated)];
  return since !== undefined && changed !== undefined && changed <= since;
}

function listed(text: string): readonly string[] {
  const parts = text.split(",", tagsMax + 1);
  const tags = parts.map((part) => entityTag.exec(part)?.groups?.["tag"]);
  return parts.length > tagsMax ? [] : tags.filter((tag) => tag !== undefined);
}

/** The value of `Last-Modified` (RFC 9110 §5.6.7). */
export function lastModified(lastUpdated: string | undefined): string | undefined {
  const time = wholeSeconds(lastUpdated);
  return time === undefined ? undefined : new Date(time).toUTCString();
}

/** The header knows seconds. */
function wholeSeconds(instant: string | undefined): number | undefined {
  const time =
    instant === undefined || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/u.test(instant)
      ? NaN
      : Date.parse(instant);
  return Number.isNaN(time) ? undefined : Math.floor(time / 1_000) * 1_000;
}

const imfFixdate =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/u;

/** In the one form that is sent today; a date in any other is as none (RFC 9110 §13.1.3). */
function httpDate(text: string | null): number | undefined {
  const time = text !== null && imfFixdate.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(time) ? undefined : time;
}
