import { epochSeconds, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { fits, type PublicJwk } from "#identity/jose/jwk";
import { proofAgeSecondsMax } from "./proof.ts";
import { aheadSecondsMax } from "./token.ts";

/** A request, in the parts that a signature names. */
export interface SignableRequest {
  readonly method: string;
  /**
   * The URL of the request with its query, by its configured public name; never by the listening address.
   */
  readonly url: string;
  readonly headers: Pick<Headers, "get">;
  /** The whole body; empty if there was none. */
  readonly body: Uint8Array;
}

/** The keys that may prove a signature: registered keys, or the keys at a registered URL. */
export interface RequestSigner {
  readonly keys: readonly PublicJwk[];
  readonly jwksUri?: string | undefined;
}

export type RequestSignatureRefusal =
  | {
      readonly reason:
        | "request_signature_missing"
        | "request_signature_malformed"
        | "request_signature_expired"
        | "request_signature_not_yet_valid"
        | "request_signature_key_unknown"
        | "request_signature_algorithm_mismatch"
        | "request_signature_invalid"
        | "content_digest_mismatch";
    }
  /**
   * A component that the signature must cover and does not, or a covered component that the gateway cannot
   * read.
   */
  | {
      readonly reason: "request_signature_incomplete" | "request_signature_component_unknown";
      readonly part: string;
    };

/**
 * Proves that a client's key signed a request (RFC 9421, FAPI 2.0 HTTP Signatures). Never throws for a bad
 * signature.
 */
export interface RequestSignatures {
  /** Returns the `kid` of the key. Throws when keys have to be fetched and cannot be. */
  verify(
    request: SignableRequest,
    signer: RequestSigner,
    at: Instant,
  ): Promise<Result<string, RequestSignatureRefusal>>;
}

/** FAPI 2.0 HTTP Signatures: tells this signature apart from further signatures in a request. */
export const requestTag = "fapi-2-request";

// A real signature covers five or six.
const partsMax = 32;

/** A parsed member of `Signature-Input`. */
export interface SignatureInput {
  /** Names of the covered components, all without parameters. */
  readonly parts: readonly string[];
  readonly parameters: ReadonlyMap<string, unknown>;
}

/**
 * Fields that decide the meaning of a request or the effect of a write. An intermediary must not add,
 * change or drop them.
 */
const decidingFields = [
  "dpop",
  "content-type",
  "phylax-purpose",
  "phylax-justification",
  "if-match",
  "if-none-exist",
  "x-security-context",
  "idempotency-key",
  "prefer",
];

/**
 * The components that a request's signature must cover: the target, the token and the proof, the deciding
 * fields, and the body.
 */
export function mustCover({
  headers,
  hasBody,
}: {
  readonly headers: SignableRequest["headers"];
  readonly hasBody: boolean;
}): string[] {
  const fields = decidingFields.filter((name) => headers.get(name) !== null);
  return ["@method", "@target-uri", "authorization", ...fields, ...(hasBody ? ["content-digest"] : [])];
}

/**
 * Reads the signature's own parameters and checks that it covers enough and is recent. `kid`: the key that
 * is to prove it.
 */
export function readSignatureInput(
  { parts, parameters }: SignatureInput,
  { covers, at }: { readonly covers: readonly string[]; readonly at: Instant },
): Result<{ readonly kid: string; readonly alg: string | undefined }, RequestSignatureRefusal> {
  const [created, expires, kid, alg] = ["created", "expires", "keyid", "alg"].map((name) =>
    parameters.get(name),
  );
  const whole =
    Number.isInteger(created) &&
    (expires === undefined || Number.isInteger(expires)) &&
    typeof kid === "string";
  if (!whole || (alg !== undefined && typeof alg !== "string"))
    return err({ reason: "request_signature_malformed" });
  // RFC 9421 §2: each component once.
  if (parts.length > partsMax || new Set(parts).size < parts.length)
    return err({ reason: "request_signature_malformed" });
  const uncovered = covers.find((part) => !parts.includes(part));
  if (uncovered !== undefined) return err({ reason: "request_signature_incomplete", part: uncovered });

  const now = epochSeconds(at);
  if (now - Number(created) > proofAgeSecondsMax) return err({ reason: "request_signature_expired" });
  if (expires !== undefined && Number(expires) * 1000 <= at)
    return err({ reason: "request_signature_expired" });
  if (Number(created) > now + aheadSecondsMax) return err({ reason: "request_signature_not_yet_valid" });
  return ok({ kid, alg });
}

/**
 * The signed text (RFC 9421 §2.5). `parameters`: the text of `@signature-params` by RFC 9651. A component
 * that the request does not have, or that this gateway cannot make (`@request-target`, `@query-param`, any
 * component of an answer), has no value.
 */
export function signatureBase(
  parts: readonly string[],
  parameters: string,
  request: Omit<SignableRequest, "body">,
): Result<string, RequestSignatureRefusal> {
  const lines: string[] = [];
  for (const part of parts) {
    const value = componentOf(part, request);
    if (value === undefined)
      return err({ reason: "request_signature_component_unknown", part: part.slice(0, 64) });
    lines.push(`"${part}": ${value}`);
  }
  return ok([...lines, `"@signature-params": ${parameters}`].join("\n"));
}

type Derive = (request: Omit<SignableRequest, "body">) => string;

/** RFC 9421 §2.2. */
const derived: ReadonlyMap<string, Derive> = new Map<string, Derive>([
  ["@method", ({ method }) => method],
  ["@target-uri", ({ url }) => url],
  ["@authority", ({ url }) => new URL(url).host],
  ["@scheme", ({ url }) => new URL(url).protocol.slice(0, -1)],
  ["@path", ({ url }) => new URL(url).pathname],
  ["@query", ({ url }) => new URL(url).search || "?"],
]);

/**
 * A component's value; undefined for a component that the request does not have, or that this gateway
 * cannot make.
 */
export function componentOf(part: string, request: Omit<SignableRequest, "body">): string | undefined {
  if (part.startsWith("@")) return derived.get(part)?.(request);
  // RFC 9421 §2.1: field names in lower case. `Headers` trims values and joins repeated fields as the RFC
  // does.
  return /^[a-z0-9!#$%&'*+.^_`|~-]+$/u.test(part) ? (request.headers.get(part) ?? undefined) : undefined;
}

/**
 * The algorithm that a key signs requests with, by FAPI 2.0 §5.4.1 and RFC 9421 §3.3.7, and its name in a
 * signature (RFC 9421 §3.3); PS256 has no such name. A key of a different type, or a key whose `alg`
 * differs, signs no requests.
 */
export function requestAlgorithm(key: PublicJwk): RequestAlgorithm | undefined {
  return requestAlgorithms.find(({ algorithm }) => fits(key, algorithm));
}

type RequestAlgorithm = (typeof requestAlgorithms)[number];

const requestAlgorithms = [
  { algorithm: "ES256", name: "ecdsa-p256-sha256" },
  { algorithm: "EdDSA", name: "ed25519" },
  { algorithm: "PS256", name: undefined },
] as const;
