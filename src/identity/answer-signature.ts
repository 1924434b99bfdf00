import type { PublicJwk } from "#identity/jose/jwk";

/** An answer as its signature names it. */
export interface SignableAnswer {
  readonly status: number;
  readonly headers: Pick<Headers, "get">;
  /** All of it, in order, as it leaves; undefined where none does (an answer to HEAD). */
  readonly body: readonly Uint8Array[] | undefined;
}

/** What was asked, as the asker knows it. */
export interface AnsweredRequest {
  readonly method: string;
  /** Likewise by the configured name that it came to. */
  readonly url: string;
  readonly headers: Pick<Headers, "get">;
  /** Whether the request's own signature was looked at: one that was not may be over another body than the one that was answered. */
  readonly signatureRead: boolean;
}

/** Signs answers with the gateway's own key (RFC 9421 §2.4, FAPI 2.0 HTTP Signatures). */
export interface AnswerSigner {
  /** The fields to add: `content-digest` (RFC 9530), `signature-input`, `signature`. */
  sign(answer: SignableAnswer, request: AnsweredRequest): Promise<Readonly<Record<string, string>>>;
  /** Of the key that signs, and of those that did until lately or will soon. */
  publicKeys(): Promise<readonly PublicJwk[]>;
}

/** FAPI 2.0 HTTP Signatures: tells this signature from those that something on the way may add. */
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
  /** What it covers, with the request's values. */
  readonly parts: readonly { readonly name: string; readonly value: string }[];
}

// What decides how the body is read, and what proves that the answer is on record.
const coveredFields = ["content-type", "x-request-id", "phylax-receipt"];

/** What an answer's signature covers: the answer, what was asked, and whatever the request's own signature covers. */
export function answerParts(
  {
    status,
    headers,
    digest,
  }: Pick<SignableAnswer, "status" | "headers"> & { readonly digest: string | undefined },
  { method, url }: Pick<AnsweredRequest, "method" | "url">,
  asked: AnsweredSignature | undefined,
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
    ...(asked?.parts ?? []).map(({ name, value }) => [name, value] as const),
  ]);
  for (const [name, value] of request) parts.push({ name, req: true, value });
  if (asked !== undefined) {
    parts.push({ name: "signature", req: true, key: asked.label, value: asked.signature });
    parts.push({ name: "signature-input", req: true, key: asked.label, value: asked.input });
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
