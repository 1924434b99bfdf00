import { originName } from "#fhir/origin";
import { isMet } from "#fhir/media-type";
import { isContentType } from "#fhir/route";
import type { IncomingBody } from "#entrypoint/bounded-body";
import type { RequestHeaders } from "#entrypoint/header-values";
import { readAuthorization } from "#identity/authorization";
import type { Instant } from "#kernel/clock";
import { memo } from "#kernel/memo";
import { err, ok, type Result } from "#kernel/result";
import { Secret } from "#kernel/secret";
import type { PresentedCredentials } from "#gateway/admission/authenticate";
import type { AdmitRefusal } from "#gateway/outcome";
import type { RecordedCall } from "#gateway/question";
import type { Trace } from "#gateway/trace/trace";

/** An admitted request: parsed once. Only the query string stays raw, for the FHIR grammar. */
export interface Call extends PresentedCredentials, RecordedCall {
  /** 16 random bytes in hex: the request id, also the id of its record. */
  readonly id: string;
  /** Without the `?`. */
  readonly query: string;
  /** Media type of the answer. */
  readonly mediaType: "application/fhir+json" | "application/json";
}

/** The parts of a request that admission needs: a test needs no server. */
export interface Arrival {
  readonly id: string;
  /** The id of the request with which the isolate's turn began (ADR 72). */
  readonly turn?: string | undefined;
  readonly at: Instant;
  readonly method: string;
  readonly url: string;
  readonly headers: RequestHeaders;
  readonly tlsClientAuth: unknown;
  /** `cf.continent`: where the request reached the edge. */
  readonly continent?: string | undefined;
  /** The web page whose script asks, when any client is registered with it. */
  readonly page?: string | undefined;
  /** It is not read before the caller is known. */
  readonly body?: IncomingBody;
  /** Undefined: the sample leaves the request out. */
  readonly trace?: Trace | undefined;
}

// The edge refuses a URL over 16 KB and headers over 128 KB. Only the link of a search page is long: its
// question may take half of that (fhir/search/query).
const urlBytesMax = 16_384;
const headerBytesMax = 32_768;
const headerCountMax = 100;

const fhirPath = new RegExp(
  String.raw`^/v1/fhir/(?<origin>${originName})(?<rest>(?:/(?:[A-Za-z0-9$_.-]+|\*))*)/?$`,
  "u",
);
/**
 * An address that the URL parser (WHATWG URL §4.4) leaves as it is: it has no segment that begins with a dot, and
 * no sign that the parser encodes. It saves the parser, whose parts are calls of the runtime
 * (with headers and edge facts read once: 0.87 to 0.99 of a read's CPU, bench/history.md).
 */
const plainAddress = new RegExp(
  String.raw`^https?://[^/?#\\\s]+(?<path>/v1/fhir/(?<origin>${originName})(?<rest>(?:/[A-Za-z0-9$_-][A-Za-z0-9$_.-]*)*))(?:\?(?<query>[!$-&(-;=?-~]*))?$`,
  "u",
);
const traceparent = /^00-(?<traceId>(?!0{32})[0-9a-f]{32})-(?<parentId>(?!0{16})[0-9a-f]{16})-[0-9a-f]{2}$/u;

const noSpan: { readonly traceId?: string; readonly parentId?: string } = {};

/** Admits a request or says why not. It proves nothing about the caller. */
export function admit(arrival: Arrival): Result<Call, AdmitRefusal> {
  const { headers } = arrival;
  if (arrival.url.length > urlBytesMax) return err({ reason: "url_too_long" });
  if (areTooLarge(headers)) return err({ reason: "headers_too_large" });

  const address = addressIn(arrival.url);
  if (address === undefined) return err({ reason: "path_malformed" });
  const { query } = address;

  // RFC 6750 §5.3: a token in a URL is in every log between here and the client.
  if (/(?:^|&)(?:access_token|id_token)=/iu.test(query)) return err({ reason: "token_in_url" });
  const presented = readAuthorization(headers.get("authorization"));
  if (!presented.ok) return presented;
  const proof = headers.get("dpop");

  if ((headers.get("content-length") ?? "0") !== "0" || headers.has("transfer-encoding")) {
    if (arrival.method === "GET" || arrival.method === "HEAD") return err({ reason: "body_not_expected" });
  }
  // The content of a Binary has a type of its own, and its errors are FHIR.
  const mediaType =
    acceptable(headers.get("accept"), query) ??
    (isContentType(address.segments[0]) && isContentWanted(headers.get("accept"))
      ? "application/fhir+json"
      : undefined);
  if (mediaType === undefined) return err({ reason: "not_acceptable" });

  const { traceId, parentId } = traceparent.exec(headers.get("traceparent") ?? "")?.groups ?? noSpan;
  return ok({
    id: arrival.id,
    at: arrival.at,
    method: arrival.method,
    origin: address.origin,
    segments: address.segments,
    query,
    path: address.path,
    scheme: presented.value?.scheme,
    token: presented.value?.token,
    proof: proof === null ? undefined : new Secret(proof),
    tlsClientAuth: arrival.tlsClientAuth,
    purpose: headers.get("phylax-purpose") || undefined,
    justification: headers.get("phylax-justification") || undefined,
    mediaType,
    traceId,
    parentId,
  });
}

interface FhirAddress extends Pick<Call, "origin" | "segments" | "query" | "path"> {}

/** The parts of an address below a FHIR base. */
export function addressIn(url: string): FhirAddress | undefined {
  const { path, origin, rest, query } = plainAddress.exec(url)?.groups ?? {};
  if (path !== undefined && origin !== undefined)
    return { path, origin, segments: segmentsOf(rest), query: query ?? "" };
  const { pathname, search } = new URL(url);
  const parts = fhirPath.exec(pathname)?.groups;
  // The URL parser folds dot segments. A remaining dot segment hides behind an encoding that the grammar
  // does not allow.
  if (parts?.["origin"] === undefined) return undefined;
  const segments = segmentsOf(parts["rest"]);
  return { path: pathname, origin: parts["origin"], segments, query: search.slice(1) };
}

const segmentsOf = (rest = ""): readonly string[] => rest.split("/").slice(1);

function areTooLarge(headers: RequestHeaders): boolean {
  let [count, bytes] = [0, 0];
  for (const [name, value] of headers) {
    count += 1;
    bytes += name.length + value.length + 4;
  }
  return count > headerCountMax || bytes > headerBytesMax;
}

// `application/json+fhir` is DSTU2's name, which HAPI's older clients send.
const fhirRanges = ["application/fhir+json", "application/json+fhir", "application/*", "*/*"];
const jsonRanges = ["application/json", "text/json", "application/*", "*/*"];

/**
 * JSON only (FHIR R4 http §3.1.0.1.6), as `application/json` for clients that ask for it by that name
 * (fhirclient does). `_format` overrides the header (§3.1.0.1.11); reading the query decides whether its
 * value is JSON.
 */
export function acceptable(header: string | null, query: string): Call["mediaType"] | undefined {
  if (header === null || header.trim() === "" || /(?:^|&)_format=/u.test(query))
    return "application/fhir+json";
  return header.length <= usualAcceptMax ? usualMediaType(header) : mediaTypeIn(header);
}

/** A client that does not ask for FHIR by name wants the content of a Binary itself (FHIR R4 binary §2.42.1). */
export const isContentWanted = (accept: string | null): boolean =>
  accept !== null && accept.trim() !== "" && !/json|fhir/iu.test(accept);

// A client sends the same short list with each request.
const usualAcceptMax = 256;
const usualMediaType = memo(256, mediaTypeIn);

function mediaTypeIn(header: string): Call["mediaType"] | undefined {
  const weights = new Map<string, number>();
  for (const range of header.split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    if (!parameters.some(isUnmet)) weights.set(type, Math.max(weightIn(parameters), weights.get(type) ?? 0));
  }
  // RFC 9110 §12.5.1: of the ranges that a type matches the most specific counts.
  const weightOf = (ranges: readonly string[]) =>
    weights.get(ranges.find((range) => weights.has(range)) ?? "") ?? 0;
  const [fhir, json] = [weightOf(fhirRanges), weightOf(jsonRanges)];
  return json > fhir ? "application/json" : fhir > 0 ? "application/fhir+json" : undefined;
}

/** RFC 9110 §12.4.2; `q=0` is "not acceptable". */
function weightIn(parameters: readonly string[]): number {
  const weight = Number(parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? 1);
  return Number.isNaN(weight) ? 1 : weight;
}

/** An answer is of FHIR 4.0 alone. */
const isUnmet = (parameter: string): boolean => parameter.startsWith("fhirversion") && !isMet(parameter);
