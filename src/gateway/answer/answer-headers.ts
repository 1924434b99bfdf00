import type { Counted, Recorded } from "#audit/ports";
import { baseFields, setAll, type HeaderFields } from "#entrypoint/base-headers";
import { receiptHeader } from "#entrypoint/request-records";
import type { ProofVerifier } from "#identity/proof";
import { part2Header, part2Notice } from "#policy/part2-notice";
import { exhaustedHeaders, rateLimitHeaders } from "#limits/headers";
import { addressIn, type Arrival, type Call } from "#gateway/admission/admit";
import type { GatewayRefusal } from "#gateway/outcome";
import { lastModified, type Validators } from "#gateway/read/etag";
import type { RequestFacts } from "#gateway/record/recorder";
import { acceptSignature, challenge, isOfSignature, scopeChallenge } from "./challenge.ts";
import { pageFields } from "./page-reads.ts";

export interface AnswerHeadersPorts {
  readonly proofs: ProofVerifier;
  /** The configured name that the client called: RFC 9728 §3.3 compares the metadata with the asked address. */
  readonly askedUrl: string;
  /** 0 ≤ x < 1. */
  readonly jitter: () => number;
}

export const mediaTypeOf = ({ call }: RequestFacts): Call["mediaType"] =>
  call?.mediaType ?? "application/fhir+json";

/**
 * Headers of every recorded answer: its receipt, the nonce of the next proof, and the rest of the client's
 * quotas.
 */
export function recordedFields(
  arrival: Arrival,
  { principal, gate, mayCarryPart2 }: RequestFacts,
  recorded: Recorded | Counted,
  ports: AnswerHeadersPorts,
): HeaderFields {
  const fields: HeaderFields = baseFields(arrival.id);
  if (mayCarryPart2 === true) fields[part2Header] = part2Notice; // 42 CFR 2.32(a)
  Object.assign(fields, pageFields(readingPage(arrival, principal)), receiptHeader(recorded));
  const jkt = principal?.proof?.jkt;
  if (jkt !== undefined) fields["dpop-nonce"] = ports.proofs.nonce(jkt, arrival.at); // RFC 9449 §8.2
  return gate === undefined ? fields : Object.assign(fields, rateLimitHeaders(gate.budgets));
}

/**
 * Before the client is known every registered page may read why it was refused; then only the client's own
 * pages.
 */
function readingPage({ page }: Arrival, principal: RequestFacts["principal"]): string | undefined {
  return page === undefined || principal === undefined || principal.client.corsOrigins.includes(page)
    ? page
    : undefined;
}

/** Adds the headers of a refusal: when to try again, and with which nonce, scope, method or signature. */
export function addRefusalHeaders(
  headers: Headers,
  refusal: GatewayRefusal,
  status: number,
  arrival: Arrival,
  { call, principal, gate }: RequestFacts,
  ports: AnswerHeadersPorts,
): void {
  if ("nonce" in refusal) headers.set("dpop-nonce", refusal.nonce);
  if ("retryAfterSeconds" in refusal) {
    // A refusal for an exhausted quota also states the remaining quotas from which the request spent.
    const spent = gate?.budgets ?? [];
    if ("policy" in refusal) setAll(headers, exhaustedHeaders(refusal, spent, ports.jitter()));
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
    headers.set("www-authenticate", scopeChallenge(call.scheme, principal ?? {}, refusal));
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
