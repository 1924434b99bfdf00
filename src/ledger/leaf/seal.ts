import { createCipheriv, createDecipheriv, hkdfSync, timingSafeEqual } from "node:crypto";
import { err, ok, type Result } from "#kernel/result";
import type { Secret } from "#kernel/secret";
import { concat, utf8 } from "#ledger/bytes/bytes";
import {
  encodeLeaf,
  encodeLeafHeader,
  type Leaf,
  type LeafHeader,
  LEAF_HEADER_BYTES,
  leafKinds,
} from "./leaf.ts";
import { pad, TAG_BYTES, unpad } from "./padding.ts";

/**
 * The AES-256 key of a key epoch, 32 bytes. It exists in the memory of one Durable Object incarnation and,
 * wrapped, in the log.
 */
export type DataKey = Secret<Uint8Array>;

/**
 * A kind 0 leaf: the plaintext padded and sealed with AES-256-GCM. The caller never uses (epoch, counter)
 * twice with one key.
 */
export function sealLeaf(
  key: DataKey,
  origin: string,
  header: Omit<LeafHeader, "kind">,
  plaintext: Uint8Array,
): Uint8Array {
  const padded = pad(plaintext);
  const full: LeafHeader = { ...header, kind: leafKinds.sealed };
  const body = sealBox(
    key,
    nonceOf(header),
    associated(origin, encodeLeafHeader(full, padded.length + TAG_BYTES)),
    padded,
  );
  return encodeLeaf({ ...full, body });
}

/**
 * Opens a kind 0 leaf. Fails when the key, log name, header or body differs from the values it was sealed
 * with.
 */
export function openLeaf(
  key: DataKey,
  origin: string,
  leaf: Leaf,
): Result<Uint8Array, "not_sealed" | "does_not_open"> {
  if (leaf.kind !== leafKinds.sealed) return err("not_sealed");
  const header = encodeLeafHeader(leaf, leaf.body.length);
  const padded = openBox(key, nonceOf(leaf), associated(origin, header), leaf.body);
  const plaintext = padded && unpad(padded);
  return plaintext ? ok(plaintext) : err("does_not_open");
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
export function nonceOf(at: { readonly keyEpoch: number; readonly counter: number }): Uint8Array {
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

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
