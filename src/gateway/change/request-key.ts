import type { Principal } from "#identity/principal";
import { err, ok, type Result } from "#kernel/result";
import { readIdempotencyKey } from "#limits/idempotency-key";
import type { KeyedRequest } from "#limits/request-keys";
import type { Content } from "#gateway/question";

export type RequestKeyRefusal =
  | { readonly reason: "idempotency_key_malformed" }
  /** The grant requires a key for each write. */
  | { readonly reason: "idempotency_key_required" };

/**
 * The `Idempotency-Key` of a write (draft-ietf-httpapi-idempotency-key-header), if it has one. Safe
 * interactions ignore the header.
 */
export function requestKey(
  content: Pick<Content, "stated">,
  { grant }: Pick<Principal, "grant">,
): Result<string | undefined, RequestKeyRefusal> {
  const stated = content.stated("idempotency-key");
  if (stated !== null) return readIdempotencyKey(stated);
  return grant.keyedWrites ? err({ reason: "idempotency_key_required" }) : ok(undefined);
}

/**
 * The request as its key knows it. A repeat has the same method, address, purpose, conditions and content;
 * the form of its JSON, its credentials and its preferences for the answer do not count.
 *
 * @param text the canonical text of the body.
 * @returns undefined: the request has no key.
 */
export function keyedRequest(
  key: string | undefined,
  { client, issuer, subject }: Pick<Principal, "client" | "issuer" | "subject">,
  content: Pick<Content, "stated" | "sameRequest">,
  text: () => string,
): KeyedRequest | undefined {
  if (key === undefined) return undefined;
  const conditions = ["if-match", "if-none-exist"].map((name) => content.stated(name));
  return {
    // One app serves many people: a person's key says nothing about another person's write.
    caller: JSON.stringify([client.id, issuer, subject]),
    holder: client.id,
    key,
    request: JSON.stringify([...content.sameRequest, ...conditions, text()]),
  };
}
