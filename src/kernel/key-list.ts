import { Secret } from "./secret.ts";

/**
 * The keys of a secret during a rotation (docs/keys.md): the first is used, and what any of them made is
 * accepted. Each has 32 bytes.
 */
export type KeyList = readonly [Secret<Uint8Array<ArrayBuffer>>, ...Secret<Uint8Array<ArrayBuffer>>[]];

const KEYS_MAX = 8;

/**
 * Reads keys in base64url, separated by single spaces. Undefined for a different text: a key of another
 * length, an unusual spelling, the same key twice, or more than eight keys.
 */
export function readKeyList(text: string): KeyList | undefined {
  const words = text.split(" ");
  const keys = words.map((word) => Uint8Array.from(Buffer.from(word, "base64url")));
  const isGood =
    words.length <= KEYS_MAX &&
    new Set(words).size === words.length &&
    keys.every((key, i) => key.length === 32 && Buffer.from(key).toString("base64url") === words[i]);
  const [first, ...older] = keys.map((key) => new Secret(key));
  return isGood && first !== undefined ? [first, ...older] : undefined;
}
