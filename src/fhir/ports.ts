import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { FhirBase } from "#fhir/r4/reference";

/** A request to a FHIR server, rebuilt from parsed parts: nothing in it is a client's raw text. */
export interface FhirQuestion {
  /** Path below the FHIR base, without a leading slash: `Patient/123`, `Observation`. */
  readonly path: string;
  /** Encoded query without the `?`, or the empty string. */
  readonly query: string;
  /**
   * Sent as `POST [path]/_search` with the query as a form, because the client posted it to keep it out of
   * URL logs.
   */
  readonly posted?: boolean;
}

/** `link`: a page that this origin offered, from its base on (see `linkBelow`). */
export type OriginQuestion = FhirQuestion | { readonly link: string };

/** A body as it arrives. A fault is the last item; nothing is thrown. */
export type OriginBody = AsyncIterable<Result<Uint8Array, OriginFault>>;

/** No connection, a broken connection, or no connection in time. */
export type OriginFault = { readonly kind: "unreachable" | "timed_out" };

/**
 * The result of a request. Only `answered` contains bytes of the origin; they leave only through `phi/`.
 */
export type OriginAnswer =
  | { readonly kind: "answered"; readonly body: OriginBody; readonly base: FhirBase }
  /** 404 or 410: the same result for a deleted and a never existing resource. */
  | { readonly kind: "absent" }
  /**
   * Any further status: the origin's text stays here, and only the status goes on record. For a 429 or 503
   * also the time after which to ask again.
   */
  | { readonly kind: "refused"; readonly status: number; readonly retryAfterSeconds?: number }
  | OriginFault
  /**
   * Not sent. `failing`: the circuit breaker is open, because the origin failed too often lately.
   * `origin_busy`, `client_busy`: too many calls of all clients, or of this client, are under way.
   * `origin_throttled`: the origin answered 429 and asked not to be called for a time.
   */
  | {
      readonly kind: "circuit_open";
      readonly because: "failing" | "origin_busy" | "client_busy" | "origin_throttled";
      readonly retryAfterSeconds: number;
    };

/** The client for which an origin is called. */
export interface OriginCaller {
  /** Its failures and its calls under way are counted apart from those of others. */
  readonly client: string;
  /**
   * The certificate of its connection, as RFC 9440 writes it, for an origin that is configured to receive it.
   */
  readonly certificate: string | undefined;
  /** The call's span in the form of W3C Trace Context, for an origin that is configured to receive it. */
  readonly traceparent?: string | undefined;
}

/** A write to a FHIR server, rebuilt from parsed parts. */
export interface OriginWrite {
  readonly method: "POST" | "PUT" | "DELETE";
  /** Path below the FHIR base: `Observation`, `Observation/1`. */
  readonly path: string;
  /** A resource as JSON. */
  readonly body?: string;
  /** The version that was judged: no different version is replaced. */
  readonly version?: string;
  /**
   * The write creates nothing if a resource has the id of the path (`If-None-Match: *`), or if these criteria
   * find a resource (`If-None-Exist`).
   */
  readonly ifNone?: "same id" | { readonly matches: string };
}

/** The result of a write. After a fault it is unknown if the write was done. */
export type OriginWritten =
  /**
   * 200, 201 or 204, with the resource's location and content, if the origin states them. No check has yet
   * shown that they answer this write. The `ETag` is ignored here, because it may be no version.
   */
  | {
      readonly kind: "written";
      readonly status: 200 | 201 | 204;
      /** True if the body's media type is JSON. */
      readonly isJson: boolean;
      readonly location: string | undefined;
      readonly body: OriginBody;
      readonly base: FhirBase;
    }
  | Exclude<OriginAnswer, { readonly kind: "answered" }>;

/**
 * The abilities of a FHIR server, as its entry in the registry states them. `undefined`: unknown. Reads are
 * then sent as R4 defines them, and a write that depends on the fact is refused.
 */
export interface OriginCapabilities {
  /** PUT to a new id creates the resource. */
  readonly updateAsCreate?: boolean | undefined;
  /** PUT replaces only the version that `If-Match` names. */
  readonly honoursIfMatchOnUpdate?: boolean | undefined;
  /** POST with `If-None-Exist` creates nothing if a resource already matches. */
  readonly honoursIfNoneExist?: boolean | undefined;
  readonly searchByPost?: boolean | undefined;
  /** `with-type`: `Patient/$everything` takes `_type` with several types. */
  readonly everything?: "with-type" | "without-type" | "none" | undefined;
  readonly elements?: boolean | undefined;
  /** A search takes a chain to the general practitioner of a row's patient. */
  readonly chains?: boolean | undefined;
  readonly total?: boolean | undefined;
  /** A search with an unknown parameter is refused under `Prefer: handling=strict`. */
  readonly strict?: boolean | undefined;
  /** An answer that leaves rows out has a link to the next page. */
  readonly pageLinks?: boolean | undefined;
  /** A list of fewer rows is never cut to a page. */
  readonly pageMax?: number | undefined;
  /** The types of the server, all of them. */
  readonly types?: ReadonlyMap<string, ServedType> | undefined;
}

/** The abilities of a FHIR server with resources of a type. */
export interface ServedType {
  /** Codes of http://hl7.org/fhir/restful-interaction. */
  readonly interactions: ReadonlySet<string>;
  /** Codes of the search parameters that the server evaluates. */
  readonly search: ReadonlySet<string>;
}

/** How the gateway reads the Consents that a server has. */
export interface OriginConsents {
  /** The Consents of a patient are read again after this time. */
  readonly readEverySeconds: number;
  /**
   * The server is the source of Consents, and the gateway writes none there. `origin`: each of them permits;
   * `verification`: a Consent that says that it was verified permits. `undefined`: they deny, and permit nothing.
   */
  readonly verified?: "origin" | "verification" | undefined;
}

/** The registered behaviour of a FHIR server. */
export interface OriginTraits {
  /**
   * `atomic`: a transaction is done as a whole. `partial`: the operator accepts that a part may be done.
   * `undefined`: unknown.
   */
  readonly transactions: "atomic" | "partial" | undefined;
  /** The server deletes only the version that `If-Match` names. */
  readonly honoursIfMatchOnDelete: boolean;
  /**
   * The writes that the operator lets the gateway make safe by leases of rows, though the server does not honour
   * `If-Match`: no writer beside the gateway is seen.
   */
  readonly leasedWrites?: ReadonlySet<"update" | "delete"> | undefined;
  readonly capabilities: OriginCapabilities;
  /** The operator accepts that searches that this gateway posts elsewhere stand in URLs to this server. */
  readonly acceptsSearchInUrl: boolean;
  /** The server's own FHIR base. */
  readonly base?: FhirBase | undefined;
  /** Identifiers of the organization that discloses from the server, `system|value`. */
  readonly organization?: readonly string[] | undefined;
  /** `undefined`: Consents at the server are not read. */
  readonly consents?: OriginConsents | undefined;
  /** The beginnings of URLs at which the content of attachments is stored outside of the server. */
  readonly storage?: readonly string[] | undefined;
}

/** Content at a storage base. `length` and `validator`, a strong entity tag, as the storage states them. */
export interface StoredContent {
  readonly kind: "answered";
  readonly body: OriginBody;
  readonly bytesMax: number;
  readonly type: string | undefined;
  readonly length: number | undefined;
  readonly validator: string | undefined;
  /** The place of the first byte of the body in the content, if the content was asked for from there on. */
  readonly first?: number | undefined;
}

/** A part of a content of a known length, as long as the content has this validator. */
export interface ContentPart {
  readonly first: number;
  readonly last: number;
  readonly length: number;
  readonly validator: string;
}

/** The named FHIR servers behind the gateway. Throws only when the registry cannot be read. */
export interface Origins {
  /** `undefined` if no origin of this name is registered. */
  traits(origin: string): Promise<OriginTraits | undefined>;
  /**
   * `undefined` if no origin of this name is registered.
   */
  ask(origin: string, question: OriginQuestion, caller: OriginCaller): Promise<OriginAnswer | undefined>;
  /**
   * Opens content at a storage base of the origin. The body breaks off where the content is longer than the entry
   * permits. A URL below no base of the origin is `absent`. A part that the storage does not give as it is asked for is
   * `refused`.
   */
  open(
    origin: string,
    url: string,
    caller: OriginCaller,
    part?: ContentPart,
  ): Promise<StoredContent | Exclude<OriginAnswer, { readonly kind: "answered" }> | undefined>;
  /** Never sent twice, whatever happens to it (P10). */
  send(origin: string, write: OriginWrite, caller: OriginCaller): Promise<OriginWritten | undefined>;
}

/** The place where a further page begins. */
export interface PagePlace {
  /**
   * The client's search in its own terms: the query that `searchQuery` writes. It is read and judged again
   * at each page.
   */
  readonly question: string;
  readonly posted: boolean;
  /**
   * The part of a search, 0 unless it is stated (see `SearchExpectation.further`); or `sorted`, the parts in
   * one order from the row after `after` on. In a search of several types it is the type: the list of types
   * may change between two pages.
   */
  readonly part?: number | string;
  /** The link of the origin's page that it begins on; `undefined`: the first page. */
  readonly link: string | undefined;
  /**
   * Id of the last row that an earlier page showed from that page. A number of rows would not do: the list
   * may have changed in the meantime.
   */
  readonly after: string | undefined;
  /** Matches on the origin's pages before that page. */
  readonly seen: number;
}

/** The client, search and policy that a page's link is bound to: it opens for no further use. */
export interface PageBinding {
  readonly client: string;
  readonly origin: string;
  /** Below the FHIR base: a type, or `Patient/1/_history`. */
  readonly path: string;
  readonly purpose: string;
  readonly policyDigest: string;
  readonly patient: string | undefined;
  /** `fhirUser`: the relations of this person decide which rows a `user/` scope reaches. */
  readonly user: string | undefined;
}

/**
 * The reason why a page's link does not open: malformed; altered, or bound to a different client, purpose
 * or policy; too old.
 */
export type PageLinkRefusal = {
  readonly reason: "page_link_malformed" | "page_link_mismatch" | "page_link_expired";
};

/** Seals places into text that only this deployment can read or make. */
export interface PageLinks {
  seal(place: PagePlace, binding: PageBinding, at: Instant): Promise<string>;
  open(text: string, binding: PageBinding, at: Instant): Promise<Result<PagePlace, PageLinkRefusal>>;
}

/** The caller for whom a link is sealed. */
export type LinkHolder = Omit<PageBinding, "path" | "policyDigest">;

/** The place to which the link of an attachment leads. */
export interface AttachmentPlace {
  /** The row that has the attachment, as `Type/id`. */
  readonly row: string;
  /** Answers whether this is the URL in whose place the link was made. */
  readonly isOf: (url: string) => boolean;
}

/** Seals the URLs of attachments into links that open for their holder alone. Equal facts have equal links. */
export interface AttachmentLinks {
  linkTo(row: string, url: string, holder: LinkHolder): string;
  /** `undefined`: the text is no link, or the link of another holder. */
  placeOf(link: string, holder: LinkHolder): AttachmentPlace | undefined;
}
