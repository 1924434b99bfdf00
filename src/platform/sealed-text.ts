import { randomBytes } from "node:crypto";
import { utf8 } from "#kernel/encoded";
import type { KeyList } from "#kernel/key-list";
import type { Secret } from "#kernel/secret";
import { openBox, sealBox } from "#ledger/leaf/seal";

const saltBytes = 32;
const noNonce = new Uint8Array(12);

/** The key of a box: it follows from a listed key and the box's own salt. */
type KeyOfBox = (key: Secret<Uint8Array>, salt: Uint8Array) => Secret<Uint8Array>;

/**
 * Seals a text with AES-256-GCM, under a key that follows from the first listed key and a random salt, so that no nonce
 * repeats. `place`: the box opens beside the same bytes alone.
 */
export function sealText(keyOf: KeyOfBox, keys: KeyList, place: Uint8Array, text: string): string {
  const salt = new Uint8Array(randomBytes(saltBytes));
  const box = sealBox(keyOf(keys[0], salt), noNonce, place, utf8(text));
  return Buffer.concat([salt, box]).toString("base64");
}

/** Undefined: no listed key sealed the text, or its place was changed. */
export function openText(
  keyOf: KeyOfBox,
  keys: KeyList,
  place: Uint8Array,
  sealed: string,
): string | undefined {
  const bytes = new Uint8Array(Buffer.from(sealed, "base64"));
  const [salt, box] = [bytes.subarray(0, saltBytes), bytes.subarray(saltBytes)];
  for (const key of keys) {
    const opened = openBox(keyOf(key, salt), noNonce, place, box);
    if (opened !== undefined) return new TextDecoder().decode(opened);
  }
  return undefined;
}
