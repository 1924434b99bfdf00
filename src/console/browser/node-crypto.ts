import { blockwiseHmac, blockwiseSha256 } from "#ledger/bytes/short-sha256";
import { toBase64 } from "#ledger/bytes/base64";
import { provenSignature } from "./web-crypto.ts";

/*
 * The parts of `node:crypto` that the ledger's verifying code needs, in a browser. Hashes are computed here at
 * once, since WebCrypto's answer later. Signatures are WebCrypto's: see web-crypto.ts.
 */

const latin1 = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/** The only algorithm and encoding that the ledger's code asks for. */
export const hash = (_algorithm: "sha256", data: Uint8Array, _encoding: "binary"): string =>
  latin1(blockwiseSha256([data]));

export function createHash(_algorithm: "sha256") {
  const parts: Uint8Array[] = [];
  const hasher = {
    update(part: Uint8Array) {
      parts.push(part);
      return hasher;
    },
    digest: (_encoding: "binary"): string => latin1(blockwiseSha256(parts)),
  };
  return hasher;
}

export function createHmac(_algorithm: "sha256", key: Uint8Array) {
  const parts: Uint8Array[] = [];
  const hasher = {
    update(part: Uint8Array) {
      parts.push(part);
      return hasher;
    },
    digest: (_encoding: "binary"): string => latin1(blockwiseHmac(key, parts)),
  };
  return hasher;
}

/** RFC 5869. */
export function hkdfSync(
  _hash: "sha256",
  key: Uint8Array,
  salt: Uint8Array,
  info: Uint8Array,
  length: number,
): ArrayBuffer {
  const pseudorandom = blockwiseHmac(salt.length === 0 ? new Uint8Array(32) : salt, [key]);
  const out = new Uint8Array(length);
  let block: Uint8Array = new Uint8Array();
  for (let at = 0, n = 1; at < length; at += 32, n++) {
    block = blockwiseHmac(pseudorandom, [block, info, Uint8Array.of(n)]);
    out.set(block.subarray(0, Math.min(32, length - at)), at);
  }
  return out.buffer;
}

export function timingSafeEqual(left: Uint8Array, right: Uint8Array): boolean {
  let difference = left.length ^ right.length;
  for (let i = 0; i < left.length; i++) difference |= (left[i] ?? 0) ^ (right[i] ?? 0);
  return difference === 0;
}

/** The public key of an Ed25519 verifier. */
export const createPublicKey = ({ key }: { readonly key: { readonly x?: string } }) => ({ x: String(key.x) });

export const verify = (
  _algorithm: null,
  message: Uint8Array,
  { x }: { readonly x: string },
  signature: Uint8Array,
): boolean => provenSignature({ x, message, signature, digest: toBase64(blockwiseSha256([message])) });

/** The console seals nothing in the browser, and leaves are opened with WebCrypto. */
export const createCipheriv = (): never => notHere();
export const createDecipheriv = (): never => notHere();

function notHere(): never {
  throw new Error("not in the browser");
}
