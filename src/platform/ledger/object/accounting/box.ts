import { randomBytes } from "node:crypto";
import type { KeyList } from "#kernel/key-list";
import { Secret } from "#kernel/secret";
import { utf8 } from "#kernel/encoded";
import { concat } from "#ledger/bytes/bytes";
import { toCbor } from "#ledger/bytes/cbor";
import { hkdf, openBox, sealBox } from "#ledger/leaf/seal";

/** The sealed part of a shelf's row: HKDF salt and box. The index columns are in the clear. */
export interface SealedRow {
  readonly salt: Uint8Array; // 32 random bytes: each row has its own key, so that a nonce never repeats
  readonly box: Uint8Array;
}

const label = utf8("phylax accounting shelf v1");
const nonce = new Uint8Array(12);

/** Seals a row of a shelf. `place` identifies the row: the box opens in no other place. */
export function sealRow(
  accountingKeys: KeyList,
  place: readonly unknown[],
  plaintext: Uint8Array,
): SealedRow {
  const salt = new Uint8Array(randomBytes(32));
  return { salt, box: sealBox(keyOf(accountingKeys[0], salt), nonce, aadOf(place), plaintext) };
}

/** Throws when the row does not open: a changed row of a shelf must not be ignored silently. */
export function openRow(
  accountingKeys: KeyList,
  place: readonly unknown[],
  { salt, box }: SealedRow,
): Uint8Array {
  for (const key of accountingKeys) {
    const plaintext = openBox(keyOf(key, salt), nonce, aadOf(place), box);
    if (plaintext !== undefined) return plaintext;
  }
  throw new Error("accounting: a row does not open");
}

const keyOf = (accountingKey: Secret<Uint8Array>, salt: Uint8Array): Secret<Uint8Array> =>
  new Secret(hkdf(accountingKey, salt, label));
const aadOf = (place: readonly unknown[]): Uint8Array => concat([label, Uint8Array.of(0), toCbor(place)]);
