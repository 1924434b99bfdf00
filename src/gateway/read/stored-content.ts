import { joinBytes } from "#fhir/json/bytes";
import type { ContentPart, StoredContent } from "#fhir/ports";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { nothingReleased, windowBytes, type Disclosure } from "#phi/disclosure";
import type { Grant } from "#policy/grant";
import type { OriginRefusal } from "#gateway/origin/forward";
import type { HeldBytes } from "#gateway/origin/held-bytes";
import type { OriginSession } from "#gateway/origin/origin-session";
import { uploadBytesMax } from "#gateway/question";
import { ContentWindows, inWindows, isFhir, type ContentWish, type Parts } from "./content.ts";

// The window that leaves, the window behind it, and the pieces of a third.
const heldOfStream = 3 * windowBytes;
// At its end a content of 4 MiB takes 30 MiB as a Binary: its pieces, and twice as bytes, text and JSON.
const treesOfByte = 3 / 4;

/**
 * Content at a storage base of the origin, to which a visible row leads: in its own media type, or as a Binary if it is
 * short. The rules for the row are the rules for the content: the patients of the row are on record.
 */
export async function storedContent(
  { policyDigest, withheldPaths }: Grant,
  { stored: url, row }: { readonly stored: string; readonly row: string },
  origin: OriginSession,
  wish: ContentWish,
): Promise<Result<Disclosure, OriginRefusal | { readonly reason: "answer_too_large" }>> {
  const opened = await origin.open(url);
  if (!opened.ok) return opened;
  const { type = "", length, bytesMax, validator, body } = opened.value;
  const parts = (first: number, end: number) => partsOf(opened.value, first, end);
  if (length !== undefined && length > bytesMax) {
    await body[Symbol.asyncIterator]().return?.();
    return err({ reason: "answer_too_large" });
  }
  const window = { ...nothingReleased, counts: { Binary: 1 }, records: 1 };
  const representation = { lastUpdated: undefined };
  const disclosure = {
    windows: [window],
    released: new Set<string>(),
    through: row,
    withheldPaths,
    representation,
  } as const;
  if (wish.wantsContent !== true || isFhir(type)) {
    const binary = await asBinary(parts(0, Infinity), type, origin.held);
    if (binary === undefined) return err({ reason: "answer_too_large" });
    return ok({ ...disclosure, windows: [{ ...window, body: binary }] });
  }
  const version = validator && JSON.stringify([origin.linkedAs(url), validator, length, type]);
  const windowsIn = (first: number, end: number) =>
    new ContentWindows(lateParts(opened.value, first, end, (part) => origin.open(url, part)));
  const alone = { complete: true };
  const stated = { type, length, version, held: heldOfStream };
  const shown = await inWindows(disclosure, stated, windowsIn, alone, wish, policyDigest);
  if (shown.windows[0]?.mark === alone) await body[Symbol.asyncIterator]().return?.();
  return ok(shown);
}

/**
 * As {@link partsOf}. The storage is asked for the bytes of a late range alone: without a strong tag, or if it answers
 * with anything but this part of the same content, the bytes before it are read and left.
 */
async function* lateParts(
  content: StoredContent,
  first: number,
  end: number,
  open: (part: ContentPart) => Promise<Result<StoredContent, OriginRefusal>>,
): Parts {
  const { length, validator } = content;
  const isLate = first >= windowBytes && length !== undefined && validator !== undefined;
  const late = isLate ? await open({ first, last: Math.min(end, length) - 1, length, validator }) : undefined;
  if (late?.ok !== true) return yield* partsOf(content, first, end);
  await content.body[Symbol.asyncIterator]().return?.();
  return yield* partsOf(late.value, first, end);
}

/** The bytes from the first to the end, in windows. It throws when the content breaks off or is longer than permitted. */
async function* partsOf(
  { body, length, bytesMax, first: start = 0 }: StoredContent,
  first: number,
  end: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  let [at, held] = [start, 0];
  let pieces: Uint8Array[] = [];
  for await (const piece of body) {
    if (!piece.ok) throw new Error("the content broke off");
    const { value } = piece;
    const wanted = value.subarray(Math.max(0, first - at), Math.max(0, end - at));
    at += value.length;
    if (at > bytesMax) throw new Error("the content is longer than its entry permits");
    if (wanted.length > 0) pieces.push(wanted);
    held += wanted.length;
    if (held >= windowBytes) {
      yield joinBytes(pieces);
      [pieces, held] = [[], 0];
    }
    if (at >= end) break; // leaving the loop hangs up
  }
  if (at < Math.min(end, length ?? 0)) throw new Error("the content is shorter than its storage stated");
  if (held > 0) yield joinBytes(pieces);
  return undefined;
}

/** `undefined`: the content is too long for JSON. */
async function asBinary(
  parts: Parts,
  type: string,
  held: HeldBytes,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const whole: Uint8Array[] = [];
  let [bytes, trees] = [0, 0];
  try {
    for (let part = await parts.next(); part.done !== true; part = await parts.next()) {
      bytes += part.value.length;
      const more = Math.ceil(part.value.length * treesOfByte);
      if (bytes > uploadBytesMax || !held.takeTree(more)) return undefined;
      trees += more;
      whole.push(part.value);
    }
    const data = Buffer.from(joinBytes(whole)).toString("base64");
    return new Uint8Array(utf8(JSON.stringify({ resourceType: "Binary", contentType: type, data })));
  } finally {
    held.giveTrees(trees);
    await parts.return?.();
  }
}
