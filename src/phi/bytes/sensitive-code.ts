import { mayLabel, sensitiveTexts } from "#policy/sensitivity/sensitive-codes";
import { hashOf } from "./name-hash.ts";

// Some hundred texts leave most slots empty, so that few further codes are looked up as texts.
const slots = 16_384;
/** 1 at the slot of each listed code, and the whole hashes. */
const marks = new Uint8Array(slots);
const hashes: ReadonlySet<number> = new Set([...sensitiveTexts].map(hashOf));
for (const hash of hashes) marks[slotOf(hash)] = 1;
const decoder = new TextDecoder();

/** Answers whether a code of the value sets stands at `[start, end)`, in any system. An escape counts as such. */
export function isSensitiveCode(bytes: Uint8Array, start: number, end: number): boolean {
  // A listed code of ICD-10-CM covers each code that begins with it, and begins with a letter.
  const first = capital(bytes[start] ?? 0);
  const mayHavePrefix = first >= 0x41 && first <= 0x5a;
  let hash = 0;
  let isMarked = false;
  for (let at = start; at < end; at += 1) {
    const sign = bytes[at] ?? 0;
    if (sign === 0x5c) return true;
    if (sign === dot) continue; // ICD-10-CM is compared without dots and case
    hash = (Math.imul(hash, 31) + capital(sign)) | 0;
    if (mayHavePrefix && isListed(hash)) isMarked = true;
  }
  return (isMarked || isListed(hash)) && mayLabel(decoder.decode(bytes.subarray(start, end)));
}

const dot = 0x2e;
const capital = (sign: number): number => (sign >= 0x61 && sign <= 0x7a ? sign - 0x20 : sign);

const isListed = (hash: number): boolean => marks[slotOf(hash)] === 1 && hashes.has(hash);

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 15)) & (slots - 1);
}
