/** A question to a FHIR server, rebuilt from parsed parts: nothing in it is a client's raw text. */
export interface OriginQuestion {
  /** Path below the FHIR base, without a leading slash: `Patient/123`, `Observation`. */
  readonly path: string;
  /** Encoded query without the `?`, or the empty string. */
  readonly query: string;
}

/** What became of a question. Only `answered` holds bytes of the origin; they leave in no other way than through `phi/`. */
export type OriginAnswer =
  | { readonly kind: "answered"; readonly body: Uint8Array; readonly base: string }
  /** 404 or 410: one face, whether it was deleted or never there. */
  | { readonly kind: "absent" }
  /** Any other status: the origin's words stay here, only its status goes on record. */
  | { readonly kind: "refused"; readonly status: number }
  | { readonly kind: "too_large"; readonly bytesMax: number }
  /** No connection, or a broken one. */
  | { readonly kind: "unreachable" }
  | { readonly kind: "timed_out" }
  /** The breaker is open: the origin failed too often just now and is left alone. */
  | { readonly kind: "resting"; readonly retryAfterSeconds: number };

/** The named FHIR servers behind the gateway. Throws only when the registry cannot be read. */
export interface Origins {
  /** `undefined` when no such origin is registered. */
  ask(origin: string, question: OriginQuestion): Promise<OriginAnswer | undefined>;
}
