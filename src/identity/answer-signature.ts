import type { PublicJwk } from "#identity/jose/jwk";

/** An answer as its signature names it. */
export interface SignableAnswer {
  readonly status: number;
  readonly headers: Pick<Headers, "get">;
  /** The whole body, in order, as it leaves; undefined if none leaves (an answer to HEAD). */
  readonly body: readonly Uint8Array[] | undefined;
}

/** The request that an answer belongs to, as its sender knows it. */
export interface AnsweredRequest {
  readonly method: string;
  /** By the configured name that the client called. */
  readonly url: string;
  readonly headers: Pick<Headers, "get">;
  /**
   * False if the request's own signature was not verified: an unverified signature may cover a different
   * body than the answered request.
   */
  readonly signatureRead: boolean;
}

/** Signs answers with the gateway's own key (RFC 9421 §2.4, FAPI 2.0 HTTP Signatures). */
export interface AnswerSigner {
  /** The fields to add: `content-digest` (RFC 9530), `signature-input`, `signature`. */
  sign(answer: SignableAnswer, request: AnsweredRequest): Promise<Readonly<Record<string, string>>>;
  /** The public keys of the current signing key, and of keys that signed lately or will sign soon. */
  publicKeys(): Promise<readonly PublicJwk[]>;
}

/** FAPI 2.0 HTTP Signatures: tells this signature apart from signatures that an intermediary may add. */
export const answerTag = "fapi-2-response";

/** A covered component (RFC 9421 §2.1, §2.2). */
export interface AnswerPart {
  readonly name: string;
  /** Its value is the request's. */
  readonly req: boolean;
  /** Only this member of the dictionary. */
  readonly key?: string;
  readonly value: string;
}

/** The request's signature, as far as an answer names it. */
export interface AnsweredSignature {
  readonly label: string;
  /** By RFC 9651, as members of `Signature` and `Signature-Input`. */
  readonly signature: string;
  readonly input: string;
  /** The covered components, with the request's values. */
  readonly parts: readonly { readonly name: string; readonly value: string }[];
}

// The fields that decide how the body is read, and the fields that prove that the answer is on record.
const coveredFields = ["content-type", "x-request-id", "phylax-receipt"];

/**
 * The components that an answer's signature covers: the answer, the request, and every component that the
 * request's own signature covers.
 */
export function answerParts(
  {
    status,
    headers,
    digest,
  }: Pick<SignableAnswer, "status" | "headers"> & { readonly digest: string | undefined },
  { method, url }: Pick<AnsweredRequest, "method" | "url">,
  requestSignature: AnsweredSignature | undefined,
): readonly AnswerPart[] {
  const parts: AnswerPart[] = [{ name: "@status", req: false, value: String(status) }];
  if (digest !== undefined) parts.push({ name: "content-digest", req: false, value: digest });
  for (const name of coveredFields) {
    const value = headers.get(name);
    if (value !== null) parts.push({ name, req: false, value });
  }
  const request = new Map([
    ["@method", method],
    ["@target-uri", url],
    ...(requestSignature?.parts ?? []).map(({ name, value }) => [name, value] as const),
  ]);
  for (const [name, value] of request) parts.push({ name, req: true, value });
  if (requestSignature !== undefined) {
    parts.push({
      name: "signature",
      req: true,
      key: requestSignature.label,
      value: requestSignature.signature,
    });
    parts.push({
      name: "signature-input",
      req: true,
      key: requestSignature.label,
      value: requestSignature.input,
    });
  }
  return parts;
}

/** RFC 9421 §2.5. `parameters`: the text of `@signature-params` by RFC 9651. */
export function answerBase(parts: readonly AnswerPart[], parameters: string): string {
  const lines = parts.map(({ name, req, key, value }) => {
    const which = `${req ? ";req" : ""}${key === undefined ? "" : `;key="${key}"`}`;
    return `"${name}"${which}: ${value}`;
  });
  return [...lines, `"@signature-params": ${parameters}`].join("\n");
}
