import type { RequestHeaders } from "#entrypoint/header-values";
import { joinBytes } from "#fhir/json/bytes";
import { entityTagsIn } from "#fhir/preconditions";
import { utf8 } from "#kernel/encoded";
import { memo } from "#kernel/memo";
import { toBase64 } from "#ledger/bytes/base64";
import { sha256 } from "#ledger/bytes/hash";
import type { Validators } from "#gateway/question";

/**
 * The gateway's own validator of a representation (RFC 9110 §8.8.3): strong, over the disclosed bytes and
 * the policy. Two stored versions with the same disclosed bytes have the same tag, so the tag reveals no more
 * than the body.
 */
export const etagOf = (body: Uint8Array, policyDigest: string): string =>
  tagOf(sha256(prefixOf(policyDigest), body));

// 64: an isolate serves few policies at a time.
const prefixOf = memo(64, (policyDigest): Uint8Array => utf8(`phylax etag 1\n${policyDigest}\n`));
/** 24 bytes of a hash in base64url (RFC 4648 §5), which has no padding at this length. */
const tagOf = (hash: Uint8Array): string =>
  `"${toBase64(hash.subarray(0, 24)).replaceAll("+", "-").replaceAll("/", "_")}"`;

// With the prefix of some 90 bytes it is at most SHORT_BYTES_MAX (1,015, ADR 41) and hashed at once.
const shortBody = 900;

/** Validators of a body. The tag is made once: by `makeTag`, or when it is asked for before. */
export class BodyValidators implements Validators {
  readonly lastUpdated: string | undefined;
  readonly #body: Uint8Array;
  readonly #policyDigest: string;
  #etag: string | undefined;

  constructor(body: Uint8Array, policyDigest: string, lastUpdated: string | undefined) {
    this.lastUpdated = lastUpdated;
    this.#body = body;
    this.#policyDigest = policyDigest;
  }

  /**
   * Undefined for a short body, whose tag is made when it is asked for. A longer body is hashed by the runtime's
   * own hash: Node's is an object of a stream around it.
   */
  makeTag(): Promise<void> | undefined {
    return this.#etag === undefined && this.#body.length > shortBody ? this.#makeTag() : undefined;
  }

  async #makeTag(): Promise<void> {
    const hashed = joinBytes([prefixOf(this.#policyDigest), this.#body]);
    this.#etag = tagOf(new Uint8Array(await crypto.subtle.digest("SHA-256", hashed)));
  }

  get etag(): string {
    return (this.#etag ??= etagOf(this.#body, this.#policyDigest));
  }
}

/**
 * True when the client already has the representation (RFC 9110 §13.1.2, §13.1.3): by its tag, compared
 * weakly, or without a tag by the time, which needs an answer that shows its own time. A malformed list has
 * no tags.
 */
export function isKnown(headers: Pick<RequestHeaders, "get">, validators: Validators): boolean {
  const tags = headers.get("if-none-match");
  if (tags !== null) return isListed(tags, validators.etag);
  const since = httpDate(headers.get("if-modified-since"));
  const changed = since === undefined ? undefined : wholeSeconds(validators.lastUpdated);
  return since !== undefined && changed !== undefined && changed <= since;
}

/** True if `If-None-Match` lists the tag, or any tag (`*`). */
export const isListed = (tags: string, etag: string): boolean =>
  tags.trim() === "*" || entityTagsIn(tags).some((tag) => tag !== "malformed" && `"${tag.text}"` === etag);

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

/** Reads the current form of dates; a date in an obsolete form is ignored (RFC 9110 §13.1.3). */
function httpDate(text: string | null): number | undefined {
  const time = text !== null && imfFixdate.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(time) ? undefined : time;
}
