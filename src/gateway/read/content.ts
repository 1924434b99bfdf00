import { isObject, readJson, textAt } from "#fhir/json/json";
import { isMediaType } from "#fhir/media-type";
import { utf8 } from "#kernel/encoded";
import { LongSha256, sha256 } from "#ledger/bytes/hash";
import { windowBytes, type DisclosedWindow, type Disclosure } from "#phi/disclosure";
import type { Question } from "#gateway/question";
import { etagOf } from "./etag.ts";

/** Nobody here has read the content: a browser saves it as a file, and runs nothing of it. */
const protective = {
  "content-disposition": "attachment",
  "content-security-policy": "sandbox",
};

/** The form in which the content of an attachment is wanted. */
export type ContentWish = Partial<Pick<Question, "wantsContent" | "rangeIn" | "isBodiless" | "isKnown">>;

/** A type of FHIR names a resource that the gateway has judged, so no content has the type. */
export const isFhir = (type: string): boolean => /fhir/iu.test(type);

/** A Binary that may leave, as its own content in its own media type (FHIR R4 binary §2.42.1). */
export async function ownContent(
  binary: Disclosure,
  wish: ContentWish,
  policyDigest: string,
): Promise<Disclosure> {
  const [whole] = binary.windows;
  const read = whole && readJson(whole.body);
  if (whole === undefined || read?.ok !== true || !isObject(read.value))
    throw new Error("a disclosed Binary that is no JSON");
  const type = textAt(read.value, "contentType") ?? "";
  if (isFhir(type)) return binary;
  const bytes = new Uint8Array(Buffer.from(textAt(read.value, "data") ?? "", "base64"));
  const contentDigest = Buffer.from(sha256(bytes)).toString("hex");
  const stated = { type, length: bytes.length, version: `${contentDigest} ${type}`, held: bytes.length };
  const windowsIn = (first: number, end: number) => new ContentWindows(partsOf(bytes, first, end));
  const disclosure = { ...binary, windows: [{ ...whole, body: new Uint8Array() }] as const };
  const alone = { complete: true, bytes: bytes.length, contentDigest };
  return inWindows(disclosure, stated, windowsIn, alone, wish, policyDigest);
}

/** Content as its place states it. `version`: undefined if nothing tells it from a later content. */
interface StatedContent {
  readonly type: string;
  readonly length: number | undefined;
  readonly version: string | undefined;
  /** See {@link Disclosure.content}. */
  readonly held: number;
}

/**
 * Content in windows, or the part of it that is wanted. An answer without a body takes nothing from the windows.
 *
 * @param disclosure has the patients and the counts of the first window.
 * @param alone the mark of an answer without a body.
 */
export async function inWindows(
  disclosure: Disclosure & { readonly windows: readonly [DisclosedWindow] },
  { type, length, version, held }: StatedContent,
  windowsIn: (first: number, end: number) => ContentWindows,
  alone: NonNullable<DisclosedWindow["mark"]>,
  { rangeIn, isBodiless, isKnown }: ContentWish,
  policyDigest: string,
): Promise<Disclosure> {
  const [window] = disclosure.windows;
  const etag = version === undefined ? undefined : etagOf(utf8(version), policyDigest);
  const range = etag === undefined || length === undefined ? undefined : rangeIn?.(etag, length);
  const { lastUpdated } = disclosure.representation ?? {};
  const isEmpty = isBodiless === true || (etag !== undefined && isKnown?.({ etag, lastUpdated }) === true);
  const windows = isEmpty
    ? undefined
    : windowsIn(range?.first ?? 0, range === undefined ? (length ?? Infinity) : range.last + 1);
  const { representation: _unversioned, ...unversioned } = disclosure;
  return {
    ...(version === undefined ? unversioned : disclosure),
    windows: [{ ...window, ...(windows === undefined ? { mark: alone } : await windows.first()) }],
    content: {
      version: version ?? "",
      status: range === undefined ? 200 : 206,
      held: windows === undefined ? 0 : held,
      next: async () => windows?.next(),
      stop: async () => windows?.stop().catch(() => undefined),
    },
    headers: {
      ...protective,
      "accept-ranges": etag === undefined || length === undefined ? "none" : "bytes",
      "content-type": isMediaType(type) && !isFhir(type) ? type : "application/octet-stream",
      ...(range && { "content-range": `bytes ${range.first}-${range.last}/${length}` }),
    },
  };
}

export type Parts = AsyncIterator<Uint8Array<ArrayBuffer>, undefined>;

async function* partsOf(bytes: Uint8Array<ArrayBuffer>, from: number, end: number): Parts {
  for (let at = from; at < end; at += windowBytes) yield bytes.subarray(at, Math.min(at + windowBytes, end));
}

type ContentWindow = Pick<DisclosedWindow, "body" | "mark">;

/** The windows of a content. Each is read before the window in front of it leaves, so that the last is known. */
export class ContentWindows {
  readonly #parts: Parts;
  readonly #hash = new LongSha256();
  #bytes = 0;
  #ahead: Uint8Array<ArrayBuffer> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** An empty content has a window, too. */
  async first(): Promise<ContentWindow> {
    return this.#window((await this.#read()) ?? new Uint8Array());
  }

  async next(): Promise<ContentWindow | undefined> {
    return this.#ahead === undefined ? undefined : this.#window(this.#ahead);
  }

  /** The reader left, or reads no further. */
  async stop(): Promise<void> {
    await this.#parts.return?.();
  }

  async #window(body: Uint8Array<ArrayBuffer>): Promise<ContentWindow> {
    this.#ahead = await this.#read();
    this.#bytes += body.length;
    this.#hash.update(body);
    if (this.#ahead !== undefined) return { body, mark: { complete: false } };
    const contentDigest = Buffer.from(this.#hash.digest()).toString("hex");
    return { body, mark: { complete: true, bytes: this.#bytes, contentDigest } };
  }

  async #read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const part = await this.#parts.next();
    return part.done === true ? undefined : part.value;
  }
}
