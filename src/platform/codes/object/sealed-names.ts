import { randomBytes } from "node:crypto";
import type { KeyList } from "#kernel/key-list";
import { Secret } from "#kernel/secret";
import { utf8 } from "#kernel/encoded";
import { hmacSha256 } from "#ledger/bytes/hash";
import { hkdf, openBox, sealBox } from "#ledger/leaf/seal";

/** The key of a data set as its object stores it: under a secret of `jobs`. */
export interface WrappedSetKey {
  readonly salt: Uint8Array;
  readonly box: Uint8Array;
}

const wrapLabel = "phylax data set key v1";
const hashInfo = utf8("phylax data set name hash v1");
const sealInfo = utf8("phylax data set name seal v1");
const noSalt = new Uint8Array();
const hashBytes = 16;
const nonceBytes = 12;
const noNonce = new Uint8Array(nonceBytes);

/**
 * The names of a data set at rest: found by a keyed hash, and sealed with AES-256-GCM. Both keys come from a random key
 * of the data set, which rests wrapped under `CODES_KEY`: storage without that secret names no row.
 */
export class SealedNames {
  readonly #hashKey: Secret<Uint8Array>;
  readonly #sealKey: Secret<Uint8Array>;

  private constructor(key: Secret<Uint8Array>) {
    this.#hashKey = new Secret(hkdf(key, noSalt, hashInfo));
    this.#sealKey = new Secret(hkdf(key, noSalt, sealInfo));
  }

  /** A data set's key, made now. The first secret wraps it. `place` names the data set: no other one opens it. */
  static newKey(secrets: KeyList, place: string): WrappedSetKey {
    return wrapped(secrets, place, randomBytes(32));
  }

  /** The same key, wrapped by the first secret. Throws as {@link underKey}. */
  static wrappedAnew(secrets: KeyList, place: string, under: WrappedSetKey): WrappedSetKey {
    return wrapped(secrets, place, unwrapped(secrets, place, under));
  }

  /** Throws if no listed secret wrapped the key. */
  static underKey(secrets: KeyList, place: string, under: WrappedSetKey): SealedNames {
    return new SealedNames(new Secret(unwrapped(secrets, place, under)));
  }

  nameHash(name: string): Uint8Array {
    const hash = hmacSha256(this.#hashKey.reveal(), utf8(`phylax data set name v1\n${name}`));
    return hash.subarray(0, hashBytes);
  }

  /** Names in one box: a box for each name would cost six times as much. `batch` is random and used once. */
  sealNames(batch: string, names: readonly string[]): Uint8Array {
    return sealBox(this.#sealKey, batchNonce(batch), batchPlace(batch), utf8(JSON.stringify(names)));
  }

  /** Throws if the row was altered. */
  openNames(batch: string, box: Uint8Array): readonly string[] {
    const names = openBox(this.#sealKey, batchNonce(batch), batchPlace(batch), box);
    if (names === undefined) throw new Error("jobs: the names of a data set do not open");
    const read: readonly string[] = JSON.parse(new TextDecoder().decode(names)); // as it was sealed
    return read;
  }
}

function wrapped(secrets: KeyList, place: string, key: Uint8Array): WrappedSetKey {
  const salt = new Uint8Array(randomBytes(32)); // each box has a key of its own, so that its nonce never repeats
  return { salt, box: sealBox(wrapping(secrets[0], salt), noNonce, keyPlace(place), key) };
}

function unwrapped(secrets: KeyList, place: string, { salt, box }: WrappedSetKey): Uint8Array {
  for (const secret of secrets) {
    const key = openBox(wrapping(secret, salt), noNonce, keyPlace(place), box);
    if (key !== undefined) return key;
  }
  throw new Error("jobs: no key of CODES_KEY opens a data set");
}

const batchNonce = (batch: string): Uint8Array => Buffer.from(batch, "hex").subarray(0, nonceBytes);
const batchPlace = (batch: string): Uint8Array => utf8(`phylax data set names v1\n${batch}`);
const wrapping = (secret: Secret<Uint8Array>, salt: Uint8Array): Secret<Uint8Array> =>
  new Secret(hkdf(secret, salt, utf8(wrapLabel)));
const keyPlace = (place: string): Uint8Array => utf8(`${wrapLabel}\n${place}`);
