import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { FhirBase } from "#fhir/r4/reference";

/** A question to a FHIR server, rebuilt from parsed parts: nothing in it is a client's raw text. */
export interface FhirQuestion {
  /** Path below the FHIR base, without a leading slash: `Patient/123`, `Observation`. */
  readonly path: string;
  /** Encoded query without the `?`, or the empty string. */
  readonly query: string;
  /** Asked by `POST [path]/_search` with the query as a form: whoever posted it wants it in nobody's log of URLs. */
  readonly posted?: boolean;
}

/** `link`: a page of this origin's own making, from its base on (see `linkBelow`). */
export type OriginQuestion = FhirQuestion | { readonly link: string };

/** A body as it comes. A fault is the last that comes; nothing is thrown. */
export type OriginBody = AsyncIterable<Result<Uint8Array, OriginFault>>;

/** No connection, or a broken one; or none within the time there is. */
export type OriginFault = { readonly kind: "unreachable" | "timed_out" };

/** What became of a question. Only `answered` holds bytes of the origin; they leave in no other way than through `phi/`. */
export type OriginAnswer =
  | { readonly kind: "answered"; readonly body: OriginBody; readonly base: FhirBase }
  /** 404 or 410: one face, whether it was deleted or never there. */
  | { readonly kind: "absent" }
  /** Any other status: the origin's words stay here, only its status goes on record. Of a 429 or 503 also after how long to ask again. */
  | { readonly kind: "refused"; readonly status: number; readonly retryAfterSeconds?: number }
  | OriginFault
  /** The breaker is open: the origin failed too often just now and is left alone. */
  | { readonly kind: "circuit_open"; readonly retryAfterSeconds: number };

/** A write to a FHIR server, rebuilt from parsed parts. */
export interface OriginWrite {
  readonly method: "POST" | "PUT" | "DELETE";
  /** Path below the FHIR base: `Observation`, `Observation/1`. */
  readonly path: string;
  /** A resource as JSON. */
  readonly body?: string;
  /** The version that was judged: none but that one is replaced. */
  readonly version?: string;
}

/** What became of a write. Of a fault nobody knows whether it was done. */
export type OriginWritten =
  /**
   * 200, 201 or 204. Where the origin says that the resource is, and what it holds now, if it says so: whether that is an answer to the write,
   * nobody has looked at yet. Its `ETag` is nobody's here: it may be no version.
   */
  | {
      readonly kind: "written";
      readonly status: 200 | 201 | 204;
      /** The body says that it is JSON. */
      readonly isJson: boolean;
      readonly location: string | undefined;
      readonly body: OriginBody;
      readonly base: FhirBase;
    }
  | Exclude<OriginAnswer, { readonly kind: "answered" }>;

/** What a FHIR server is known to do with writes, by the registry's word. */
export interface OriginTraits {
  /** A transaction is done as a whole; or its operator accepts that a part may be done. `undefined`: not known. */
  readonly transactions: "atomic" | "partial" | undefined;
  /** It deletes no version but the one that `If-Match` names. */
  readonly honoursIfMatchOnDelete: boolean;
}

/** The named FHIR servers behind the gateway. Throws only when the registry cannot be read. */
export interface Origins {
  /** `undefined` when no such origin is registered. */
  traits(origin: string): Promise<OriginTraits | undefined>;
  /**
   * `undefined` when no such origin is registered. `clientCert`: the certificate of the asker's connection, as RFC 9440 writes it, for an
   * origin that is to be told.
   */
  ask(origin: string, question: OriginQuestion, clientCert?: string): Promise<OriginAnswer | undefined>;
  /** Never sent twice, whatever happens to it (P10). */
  send(origin: string, write: OriginWrite, clientCert?: string): Promise<OriginWritten | undefined>;
}

/** Where a further page begins. */
export interface PagePlace {
  /** The client's question in its own terms: the query that `searchQuery` writes. It is read and judged again at each page. */
  readonly question: string;
  readonly posted: boolean;
  /** Of the origin's page that it begins on; `undefined`: the first one. */
  readonly link: string | undefined;
  /** Id of the last row of that page that an earlier page showed. Not a number of rows: the list may have changed in the meantime. */
  readonly after: string | undefined;
  /** Matches on the origin's pages before that one. */
  readonly seen: number;
}

/** Whom a page's link is for, and of what: it opens for nothing else. */
export interface PageBinding {
  readonly client: string;
  readonly origin: string;
  /** Below the FHIR base: a type, `Patient/1/_history`. */
  readonly path: string;
  readonly purpose: string;
  readonly policyDigest: string;
  readonly patient: string | undefined;
  /** `fhirUser`: whose relations decide what a `user/` scope reaches. */
  readonly user: string | undefined;
}

/** Why a page's link does not open: no form of one; altered, or another client's, purpose's, policy's; too old. */
export type PageLinkRefusal = {
  readonly reason: "page_link_malformed" | "page_link_mismatch" | "page_link_expired";
};

/** Seals places into text that only this deployment can read or make. */
export interface PageLinks {
  seal(place: PagePlace, binding: PageBinding, at: Instant): Promise<string>;
  open(text: string, binding: PageBinding, at: Instant): Promise<Result<PagePlace, PageLinkRefusal>>;
}
