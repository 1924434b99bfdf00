import { isObject, readJson, textAt } from "#fhir/json/json";
import { utf8 } from "#kernel/encoded";
import { LongSha256, sha256 } from "#ledger/bytes/hash";
import { windowBytes, type DisclosedWindow, type Disclosure } from "#phi/disclosure";
import type { Question } from "#gateway/question";
import { etagOf } from "./etag.ts";

/** RFC 9110 §8.3.1. Another text is no media type, and a browser would guess. */
const mediaType = /^[\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127}(?:; ?[\w.+=-]{1,99})?$/u;

/** Nobody here has read the content: a browser saves it as a file, and runs nothing of it. */
const protective = {
  "content-disposition": "attachment",
  "content-security-policy": "sandbox",
  "accept-ranges": "bytes",
};

/** A Binary that may leave, as its own content in its own media type (FHIR R4 binary §2.42.1). */
export async function ownContent(
  binary: Disclosure,
  { rangeIn }: Pick<Question, "rangeIn">,
  policyDigest: string,
): Promise<Disclosure> {
  const [whole] = binary.windows;
  const read = whole && readJson(whole.body);
  if (whole === undefined || read?.ok !== true || !isObject(read.value))
    throw new Error("a disclosed Binary that is no JSON");
  const type = textAt(read.value, "contentType") ?? "";
  const bytes = new Uint8Array(Buffer.from(textAt(read.value, "data") ?? "", "base64"));
  const version = Buffer.from(sha256(bytes)).toString("hex");
  const range = rangeIn?.(etagOf(utf8(version), policyDigest), bytes.length);
  const windows = new ContentWindows(
    partsOf(bytes, range?.first ?? 0, (range?.last ?? bytes.length - 1) + 1),
  );
  const first = await windows.first();
  return {
    ...binary,
    windows: [{ ...whole, ...first }],
    content: { version, status: range === undefined ? 200 : 206, next: () => windows.next() },
    headers: {
      ...protective,
      "content-type": mediaType.test(type) ? type : "application/octet-stream",
      ...(range && { "content-range": `bytes ${range.first}-${range.last}/${bytes.length}` }),
    },
  };
}

type Parts = AsyncIterator<Uint8Array<ArrayBuffer>, undefined>;

async function* partsOf(bytes: Uint8Array<ArrayBuffer>, from: number, end: number): Parts {
  for (let at = from; at < end; at += windowBytes) yield bytes.subarray(at, Math.min(at + windowBytes, end));
}

type ContentWindow = Pick<DisclosedWindow, "body" | "mark">;

/** The windows of a content. Each is read before the window in front of it leaves, so that the last is known. */
class ContentWindows {
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
