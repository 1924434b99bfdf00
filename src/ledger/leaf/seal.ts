import { createCipheriv, createDecipheriv, hkdfSync, timingSafeEqual } from "node:crypto";
import { err, ok, type Result } from "#kernel/result";
import type { Secret } from "#kernel/secret";
import { utf8 } from "#kernel/encoded";
import { concat, u32 } from "#ledger/bytes/bytes";
import {
  COUNTER_AT,
  encodeLeafHeader,
  type Leaf,
  LEAF_HEADER_BYTES,
  leafKinds,
  LENGTH_AT,
  LINES_ROOT_AT,
} from "./leaf.ts";
import { HASH_BYTES } from "#ledger/tlog/merkle";
import { pad, paddedLength, TAG_BYTES, unpad } from "./padding.ts";

/**
 * The AES-256 key of a key epoch, 32 bytes. It exists in the memory of one Durable Object incarnation and,
 * wrapped, in the log.
 */
export type DataKey = Secret<Uint8Array>;

const NONCE_COUNTER_AT = 4;

/**
 * Seals the kind 0 leaves of a key epoch: the plaintext padded and sealed with AES-256-GCM, header and AAD
 * prepared once. It holds the key where nothing can read it. The caller never uses a counter twice with one
 * key.
 */
export class LeafSealer {
  readonly #key: CryptoKey;
  readonly #aad: Uint8Array; // with the header of the epoch's leaves at its end
  readonly #nonce: Uint8Array<ArrayBuffer>;

  private constructor(key: CryptoKey, origin: string, keyEpoch: number) {
    const header = { kind: leafKinds.sealed, keyEpoch, counter: 0, linesRoot: new Uint8Array(HASH_BYTES) };
    this.#key = key;
    this.#aad = associated(origin, encodeLeafHeader(header, 0));
    this.#nonce = nonceOf({ keyEpoch, counter: 0 });
  }

  static async of(key: DataKey, origin: string, keyEpoch: number): Promise<LeafSealer> {
    return new LeafSealer(await sealingKey(key), origin, keyEpoch);
  }

  async seal(counter: number, linesRoot: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array> {
    if (linesRoot.length !== HASH_BYTES) throw new RangeError("not a leaf");
    const length = paddedLength(plaintext.length) + TAG_BYTES;
    const [aad, leafLength] = [this.#aad.length, LEAF_HEADER_BYTES + length];
    // One buffer for all: the runtime counts and frees each.
    const bytes = new Uint8Array(aad + this.#nonce.length + leafLength + length);
    const additionalData = bytes.subarray(0, aad);
    const iv = bytes.subarray(aad, aad + this.#nonce.length);
    const leafAt = aad + iv.length;
    const leaf = bytes.subarray(leafAt, leafAt + leafLength);
    const padded = bytes.subarray(leafAt + leafLength, bytes.length - TAG_BYTES);
    const view = new DataView(bytes.buffer);
    const header = aad - LEAF_HEADER_BYTES;
    additionalData.set(this.#aad);
    setU64(view, header + COUNTER_AT, counter);
    additionalData.set(linesRoot, header + LINES_ROOT_AT);
    view.setUint32(header + LENGTH_AT, length);
    iv.set(this.#nonce);
    setU64(view, aad + NONCE_COUNTER_AT, counter);
    pad(plaintext, padded);
    leaf.set(additionalData.subarray(header));
    const body = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData }, this.#key, padded);
    leaf.set(new Uint8Array(body), LEAF_HEADER_BYTES);
    return leaf;
  }
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}

/** An AES-256-GCM key that seals and that nothing can read. */
export const sealingKey = (key: Secret<Uint8Array>): Promise<CryptoKey> => gcmKey(key, "encrypt");

/** An AES-256-GCM key that opens and that nothing can read. */
export const openingKey = (key: Secret<Uint8Array>): Promise<CryptoKey> => gcmKey(key, "decrypt");

async function gcmKey(key: Secret<Uint8Array>, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  const raw = Uint8Array.from(key.reveal());
  try {
    return await crypto.subtle.importKey("raw", raw, "AES-GCM", false, [usage]);
  } finally {
    raw.fill(0);
  }
}

/**
 * Opens a kind 0 leaf. Fails when the key, log name, header or body differs from the values it was sealed
 * with.
 */
export async function openLeaf(
  key: DataKey,
  origin: string,
  leaf: Leaf,
): Promise<Result<Uint8Array, "not_sealed" | "does_not_open">> {
  if (leaf.kind !== leafKinds.sealed) return err("not_sealed");
  if (leaf.body.length < TAG_BYTES) return err("does_not_open");
  const additionalData = Uint8Array.from(associated(origin, encodeLeafHeader(leaf, leaf.body.length)));
  const raw = Uint8Array.from(key.reveal());
  try {
    // WebCrypto, which each runtime of a reader has: Node, Workers and browsers
    const opening = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
    const algorithm = { name: "AES-GCM", iv: nonceOf(leaf), additionalData };
    const padded = new Uint8Array(
      await crypto.subtle.decrypt(algorithm, opening, Uint8Array.from(leaf.body)),
    );
    const plaintext = unpad(padded);
    return plaintext ? ok(plaintext) : err("does_not_open");
  } catch {
    return err("does_not_open"); // a tag that does not fit, or a key of another length
  } finally {
    raw.fill(0);
  }
}

/** AES-256-GCM: ciphertext ‖ 16-byte tag. */
export function sealBox(
  key: Secret<Uint8Array>,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", key.reveal(), nonce);
  cipher.setAAD(aad);
  return concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The plaintext of a box, or undefined when the key, nonce, AAD or box differs from the sealed values. */
export function openBox(
  key: Secret<Uint8Array>,
  nonce: Uint8Array,
  aad: Uint8Array,
  box: Uint8Array,
): Uint8Array | undefined {
  if (box.length < TAG_BYTES) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", key.reveal(), nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(box.subarray(-TAG_BYTES));
  const plaintext = decipher.update(box.subarray(0, -TAG_BYTES));
  try {
    return concat([plaintext, decipher.final()]);
  } catch {
    return undefined; // final() throws only for a tag that does not fit
  }
}

/**
 * The commitment to a data key: HKDF-SHA-256 (RFC 5869) of the key over log name and epoch, 32 bytes. The
 * key-epoch leaf has it in the clear, because AES-GCM alone does not commit to its key: an attacker could
 * make a ciphertext that opens to two different records under two keys.
 */
export const keyCommitment = (key: DataKey, origin: string, epoch: number): Uint8Array =>
  hkdf(key, new Uint8Array(), labelled("phylax key commitment v1", origin, epoch));

/** True when the key-epoch leaf committed to this key. Check before opening any leaf with the key. */
export function isCommittedKey(key: DataKey, origin: string, epoch: number, commitment: Uint8Array): boolean {
  const computed = keyCommitment(key, origin, epoch);
  return computed.length === commitment.length && timingSafeEqual(computed, commitment);
}

/** HKDF-SHA-256 with a 32-byte result. */
export const hkdf = (key: Secret<Uint8Array>, salt: Uint8Array, info: Uint8Array): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", key.reveal(), salt, info, 32));

/** label ‖ 0x00 ‖ u16 length ‖ log origin line ‖ u32 epoch: one meaning for each label, log and epoch. */
export const labelled = (label: string, origin: string, epoch: number): Uint8Array =>
  concat([utf8(label), Uint8Array.of(0), lengthPrefixed(origin), u32(epoch)]);

/** The 12-byte nonce: key_epoch u32 ‖ ctr u64. */
export function nonceOf(at: {
  readonly keyEpoch: number;
  readonly counter: number;
}): Uint8Array<ArrayBuffer> {
  const nonce = new Uint8Array(12);
  const view = new DataView(nonce.buffer);
  view.setUint32(0, at.keyEpoch);
  view.setBigUint64(4, BigInt(at.counter));
  return nonce;
}

/** The data that the tag of a leaf also covers: u16 length ‖ log origin line ‖ the 50 header bytes. */
const associated = (origin: string, header: Uint8Array): Uint8Array =>
  concat([lengthPrefixed(origin), header.subarray(0, LEAF_HEADER_BYTES)]);

function lengthPrefixed(text: string): Uint8Array {
  const bytes = utf8(text);
  return concat([Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes]);
}
