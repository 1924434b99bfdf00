import type { Interaction } from "#fhir/interaction";
import type { PagePlace } from "#fhir/ports";
import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { Trace } from "./trace/trace.ts";

/** A request at a door, as its records have it before anything of it is read. */
export interface ArrivedRequest {
  readonly id: string;
  /** The id of the request with which the isolate's turn began (ADR 72). */
  readonly turn?: string | undefined;
  readonly at: Instant;
  /** The address of its sender, as the edge saw it. */
  readonly address: string;
  /** `cf.continent`: where the request reached the edge. */
  readonly continent?: string | undefined;
  /** The verb of a door that has verbs. */
  readonly method?: string | undefined;
  /** Undefined: the sample leaves the request out. */
  readonly trace?: Trace | undefined;
}

/** The part of an admitted request that its records have. */
export interface RecordedCall {
  /** Name of the FHIR origin. */
  readonly origin: string;
  /** Path segments below the FHIR base, each of `[A-Za-z0-9$_.-]`, or `*`. */
  readonly segments: readonly string[];
  /** Trace id of a valid `traceparent` (W3C Trace Context §3.2). */
  readonly traceId: string | undefined;
  /** The caller's span in the same `traceparent`. */
  readonly parentId?: string | undefined;
}

/** A question as a door has read it: nothing of the door's own tongue is left in it. */
export interface Question {
  readonly interaction: Interaction;
  /** The place where a further page begins. */
  readonly place: PagePlace | undefined;
  readonly content: Content;
  /** Nothing of the answer leaves: all of it is on record, because its size and its tag leave. */
  readonly isBodiless: boolean;
  /** Answers whether the asker has this representation already: it is on record as shown, and does not leave. */
  readonly isKnown: (validators: Validators) => boolean;
  /** A Binary is wanted as its content in its own media type. */
  readonly wantsContent?: boolean;
  /** The range of a content that is wanted, by the content's tag and length; undefined: all of it. */
  readonly rangeIn?: (etag: string, bytes: number) => ContentRange | undefined;
}

/** The first and the last byte of a range. */
export interface ContentRange {
  readonly first: number;
  readonly last: number;
}

/** The validators of an answer. They reveal no more than its body. */
export interface Validators {
  readonly etag: string;
  /** An instant of FHIR as the view shows it (`meta.lastUpdated`). */
  readonly lastUpdated: string | undefined;
}

/**
 * The content of a question. The core reads it when the question is permitted. Reading it throws when its sender
 * breaks off.
 */
export interface Content {
  /** A condition or a preference by its name in FHIR: `if-match`, `if-none-exist`, `prefer`. */
  stated(name: string): string | null;
  /** The part that makes a repeat under a key the same request, besides its conditions and its content. */
  readonly sameRequest: readonly (string | null)[];
  read(form: "resource" | "patch" | "upload", bytesMax?: number): Promise<Result<Uint8Array, ContentRefusal>>;
  /** The media type of content that is no FHIR: it is read as an upload. Undefined: the content is a resource. */
  readonly uploadType?: string | undefined;
}

export type ContentRefusal = {
  readonly reason: "body_type_not_supported" | "patch_type_not_supported" | "body_too_large" | "body_missing";
};

/**
 * Limit for a write's content. Read, merged, checked and written out it takes ten times as much of an isolate's
 * 128 MB.
 */
export const contentBytesMax = 1_048_576;

/** Limit for an upload: as JSON it fits into the bytes of a request, and into a read. */
export const uploadBytesMax = 4_194_304;
