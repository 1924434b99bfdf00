import { createHash } from "node:crypto";
import { serializeInnerList, serializeItem, type BareItem, type Item } from "structured-headers";
import {
  answerBase,
  answerParts,
  answerTag,
  type AnsweredRequest,
  type AnsweredSignature,
  type AnswerPart,
  type AnswerSigner,
} from "#identity/answer-signature";
import type { PublicJwk } from "#identity/jose/jwk";
import { componentOf } from "#identity/request-signature";
import { epochSeconds, type Clock } from "#kernel/clock";
import type { Secret } from "#kernel/secret";
import { chooseSignature } from "./chosen-signature.ts";
import { parametersOf } from "./import-key.ts";
import { signingKey } from "./signing-key.ts";

interface AnswerSignerOptions {
  /** A private JWK in JSON, P-256 or Ed25519. */
  readonly key: Secret;
  /** Published with its public half, so that the key can be changed without a gap. */
  readonly others: readonly PublicJwk[];
  readonly clock: Clock;
}

/** Signs answers by RFC 9421. Throws when it cannot: an answer that must be signed never leaves unsigned. */
export function answerSigner({ key, others, clock }: AnswerSignerOptions): AnswerSigner {
  const signer = signingKey(key);
  return {
    async sign({ status, headers, body }, request) {
      const { algorithm, kid, privateKey } = await signer();
      const digest = body && contentDigest(body);
      const parts = answerParts(
        { status, headers, digest },
        request,
        request.signatureRead ? askedSignature(request) : undefined,
      );
      const parameters = new Map<string, BareItem>([
        ["created", epochSeconds(clock())],
        ["keyid", kid],
        ["tag", answerTag],
      ]);
      const input = serializeInnerList([parts.map(identifier), parameters]);
      const base = new TextEncoder().encode(answerBase(parts, input));
      const signature = await crypto.subtle.sign(parametersOf[algorithm], privateKey, base);
      return {
        ...(digest !== undefined && { "content-digest": digest }),
        "signature-input": `sig=${input}`,
        signature: `sig=${serializeItem(signature)}`,
      };
    },
    async publicKeys() {
      const { publicJwk } = await signer();
      return [publicJwk, ...others.filter(({ kid }) => kid !== publicJwk.kid)]; // one name, one key
    },
  };
}

/** RFC 9530 §2, over the parts in order: a long answer is not copied. */
export function contentDigest(parts: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return `sha-256=:${hash.digest("base64")}:`;
}

/** RFC 9421 §2: the component's identifier in `Signature-Input`. */
function identifier({ name, req, key }: AnswerPart): Item {
  const parameters = new Map<string, BareItem>();
  if (req) parameters.set("req", true);
  if (key !== undefined) parameters.set("key", key);
  return [name, parameters];
}

/**
 * The request's own signature and its components; undefined when there is no readable signature, and then
 * the answer says so.
 */
function askedSignature(request: AnsweredRequest): AnsweredSignature | undefined {
  const chosen = chooseSignature(request.headers);
  if (!chosen.ok) return undefined;
  const { label, member, input, parts } = chosen.value;
  const values: AnsweredSignature["parts"][number][] = [];
  for (const name of parts) {
    const value = componentOf(name, request);
    if (value === undefined) return undefined;
    values.push({ name, value });
  }
  return { label, signature: member, input: serializeInnerList(input), parts: values };
}
