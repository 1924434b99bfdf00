import { baseFields, setAll, type HeaderFields } from "#entrypoint/base-headers";
import { receiptHeader } from "#entrypoint/request-records";
import type { ProofVerifier } from "#identity/proof";
import { exhaustedHeaders, rateLimitHeaders } from "#limits/headers";
import type { Principal } from "#identity/principal";
import type { GatewayRefusal } from "#gateway/outcome";
import type { Validators } from "#gateway/question";
import { lastModified } from "#gateway/read/etag";
import type { ReleasedAnswer } from "#gateway/release";
import { addressIn, type Arrival, type Call } from "./admit.ts";
import { acceptSignature, challenge, isOfSignature, scopeChallenge } from "./challenge.ts";
import { pageFields } from "./page-reads.ts";

export interface AnswerHeadersPorts {
  readonly proofs: ProofVerifier;
  /** The configured name that the client called: RFC 9728 §3.3 compares the metadata with the asked address. */
  readonly askedUrl: string;
  /** 0 ≤ x < 1. */
  readonly jitter: () => number;
}

/** The header of each answer of a grant that may carry records of 42 CFR Part 2. */
const part2Header = "phylax-part2-notice";

/**
 * Headers of every recorded answer: its receipt, the nonce of the next proof, and the rest of the client's
 * quotas.
 */
export function recordedFields(
  arrival: Arrival,
  { who, budgets, notice, recorded }: ReleasedAnswer,
  ports: AnswerHeadersPorts,
): HeaderFields {
  const fields: HeaderFields = baseFields(arrival.id);
  if (notice !== undefined) fields[part2Header] = notice; // 42 CFR 2.32(a)
  Object.assign(fields, pageFields(readingPage(arrival, who)), receiptHeader(recorded));
  const jkt = who?.proof?.jkt;
  if (jkt !== undefined) fields["dpop-nonce"] = ports.proofs.nonce(jkt, arrival.at); // RFC 9449 §8.2
  return budgets === undefined ? fields : Object.assign(fields, rateLimitHeaders(budgets));
}

/**
 * Before the client is known every registered page may read why it was refused; then only the client's own
 * pages.
 */
function readingPage({ page }: Arrival, who: Principal | undefined): string | undefined {
  return page === undefined || who === undefined || who.client.corsOrigins.includes(page) ? page : undefined;
}

/** Adds the headers of a refusal: when to try again, and with which nonce, scope, method or signature. */
export function addRefusalHeaders(
  headers: Headers,
  refusal: GatewayRefusal,
  status: number,
  arrival: Arrival,
  call: Call | undefined,
  { who, budgets = [] }: ReleasedAnswer,
  ports: AnswerHeadersPorts,
): void {
  if ("nonce" in refusal) headers.set("dpop-nonce", refusal.nonce);
  if ("retryAfterSeconds" in refusal) {
    // A refusal for an exhausted quota also states the remaining quotas from which the request spent.
    if ("policy" in refusal) setAll(headers, exhaustedHeaders(refusal, budgets, ports.jitter()));
    else headers.set("retry-after", String(refusal.retryAfterSeconds));
  }
  // RFC 9110 §15.5.6
  if (refusal.reason === "method_not_supported") headers.set("allow", refusal.allow.join(", "));
  if (isOfSignature(refusal)) headers.set("accept-signature", acceptSignature(arrival));
  if (status === 401)
    // a request that is refused with a malformed Authorization is no call yet
    headers.set(
      "www-authenticate",
      challenge(ports.askedUrl, addressIn(arrival.url)?.origin, call?.scheme, refusal),
    );
  if (refusal.reason === "scope_insufficient" && call?.scheme !== undefined)
    headers.set("www-authenticate", scopeChallenge(call.scheme, who ?? {}, refusal));
}

/** The media type and the validators of a representation. */
export function bodyFields(
  status: number,
  mediaType: Call["mediaType"],
  validators: Validators | undefined,
): HeaderFields {
  const fields: HeaderFields = {};
  if (status !== 304) fields["content-type"] = `${mediaType}; charset=utf-8`; // RFC 9110 §15.4.5
  if (validators === undefined) return fields;
  fields["etag"] = validators.etag;
  const modified = lastModified(validators.lastUpdated);
  if (modified !== undefined) fields["last-modified"] = modified;
  return fields;
}
