import type { KeyEnd } from "./idempotency.ts";

/** A request with an idempotency key. */
export interface KeyedRequest {
  /** A key is a caller's own: the same key of another caller is a different key. */
  readonly caller: string;
  /** The client or the operator, by whose name the keys are stored together. */
  readonly holder: string;
  readonly key: string;
  /** The request in its canonical form: a repeat has the same text. */
  readonly request: string;
}

export type RequestClaim =
  | { readonly kind: "other" }
  /** `earlier`: as in {@link KeyedAttempt}, of the attempts before the one that has the key. */
  | { readonly kind: "busy"; readonly retryAfterSeconds: number; readonly earlier?: string }
  | { readonly kind: "done"; readonly result: string }
  | { readonly kind: "claimed"; readonly attempt: KeyedAttempt };

/** An attempt to do a request under its key. Each method throws when the key's object cannot be reached. */
export interface KeyedAttempt {
  /**
   * A name of this request alone, of 64 hexadecimal digits: the same for each of its attempts, new after
   * the key was forgotten, and known to no one without the key.
   */
  readonly name: string;
  /** The content that an earlier attempt, with an unknown outcome, was about to send. */
  readonly earlier: string | undefined;
  /** Call it before the write is sent. Throws when another attempt took over: then nothing may be sent. */
  sending(content: string, milliseconds: number): Promise<void>;
  ended(end: KeyEnd): Promise<void>;
}

/**
 * The keys of requests that must be done once (draft-ietf-httpapi-idempotency-key-header). A key is known for
 * 24 hours. Throws when the key's object cannot be reached: then nothing may be done.
 */
export interface RequestKeys {
  claim(request: KeyedRequest): Promise<RequestClaim>;
}
