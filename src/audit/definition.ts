import { fromCbor, toCbor } from "#ledger/bytes/cbor";
import { sha256 } from "#ledger/bytes/hash";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { chunkBytesMax, isPathList } from "./values.ts";
import { aboutNobody, type AuditEvent, definitionKind } from "./event.ts";

/** The types of content that a definition can have, each with its value. */
interface Contents {
  /** The element paths that a view removes, as `withheld.paths` has them. */
  readonly "withheld-paths": readonly string[];
  /** A document of an administration, or a part of it: at most 120,000 UTF-16 units. */
  readonly "document-part": string;
}
type ContentType = keyof Contents;

// At most three bytes each in UTF-8: less than a definition takes.
const DOCUMENT_PART_MAX = 120_000;

/** The parts of a document's text in their order, each of a length that a definition takes. */
export function documentParts(text: string): readonly string[] {
  const parts: string[] = [];
  for (let from = 0; from < text.length || parts.length === 0;) {
    const last = text.charCodeAt(from + DOCUMENT_PART_MAX - 1);
    // The two halves of a surrogate pair stay together: alone they have no UTF-8 form.
    const until = from + DOCUMENT_PART_MAX - (last >= 0xd800 && last <= 0xdbff ? 1 : 0);
    parts.push(text.slice(from, until));
    from = until;
  }
  return parts;
}

/** The digests of the definitions that an event names. */
export const digestsNamed = ({ withheld, document }: AuditEvent): readonly string[] =>
  [withheld?.pathsDigest, document?.textDigest].filter((digest) => digest !== undefined);

/** The typed value of a definition. */
export type Defined = {
  [Type in ContentType]: { readonly type: Type; readonly value: Contents[Type] };
}[ContentType];

const readers: { readonly [Type in ContentType]: (value: unknown) => Defined | undefined } = {
  "withheld-paths": (value) => (isPathList(value) ? { type: "withheld-paths", value } : undefined),
  "document-part": (value) =>
    typeof value === "string" && value.length <= DOCUMENT_PART_MAX
      ? { type: "document-part", value }
      : undefined,
};

/** Long content that records name by its digest. */
export interface Definition {
  readonly digest: string; // SHA-256 of the content, 64 lower-case hex digits
  readonly content: Uint8Array; // deterministic CBOR [type, value]
}

/** Eight leaves of the largest class: half of a commit. */
export const definitionBytesMax = 8 * chunkBytesMax;

/** Throws a RangeError for a value of over 480 KiB. */
export function define({ type, value }: Defined): Definition {
  const content = toCbor([type, value]);
  if (content.length > definitionBytesMax) throw new RangeError("a definition is too large");
  return { digest: digestOf(content), content };
}

/** The digest of content from outside, if it is the content of a definition in its only encoding. */
export function readContent(
  content: unknown,
): Result<Definition & { readonly defined: Defined }, "bad_content"> {
  if (!(content instanceof Uint8Array) || content.length > definitionBytesMax) return err("bad_content");
  const read = fromCbor(content);
  if (!Array.isArray(read) || read.length !== 2) return err("bad_content");
  const [type, value]: unknown[] = read;
  const defined = definedOf(type, value);
  return defined === undefined ? err("bad_content") : ok({ digest: digestOf(content), content, defined });
}

/** The records of a definition, in their order; each is a part with the next chunk of the content. */
export function definitionRecords({ digest, content }: Definition, at: Instant): readonly AuditEvent[] {
  const chunks = Math.ceil(content.length / chunkBytesMax);
  return Array.from({ length: chunks }, (_, i) => ({
    id: digest.slice(0, 32), // a definition belongs to no request
    at,
    kind: definitionKind,
    definition: {
      contentDigest: digest,
      chunk: content.subarray(i * chunkBytesMax, (i + 1) * chunkBytesMax),
    },
    ...aboutNobody,
  }));
}

export const digestOf = (content: Uint8Array): string => Buffer.from(sha256(content)).toString("hex");

const definedOf = (type: unknown, value: unknown): Defined | undefined =>
  typeof type === "string" && isContentType(type) ? readers[type](value) : undefined;

const isContentType = (type: string): type is ContentType => Object.hasOwn(readers, type);
