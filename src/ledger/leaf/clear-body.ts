import { fromCborMap, toCbor } from "#ledger/bytes/cbor";
import { HASH_BYTES } from "#ledger/tlog/merkle";
import { readWrappedKey, type WrappedKey } from "./wrapped-key.ts";

/**
 * The body of a key-epoch leaf (kind 1). `wrapped` is a JWE in General JSON Serialization (RFC 7516 §7.2.1)
 * for the auditors.
 */
export interface KeyEpoch {
  readonly commitment: Uint8Array; // 32 bytes, see keyCommitment
  readonly wrapped: string;
}

/** The body of the first leaf of every log (kind 2). */
export interface ShardOpen {
  readonly origin: string;
  readonly halfYear: string;
  readonly auditors: readonly string[]; // key ids of the auditors' keys at that moment
}

/**
 * The body of the leaves that end a log and fill its last bundle (kind 3). `size` is how many leaves the log
 * had before the first of them.
 */
export interface ShardSeal {
  readonly size: number;
}

const FORMAT = 1;
// Key 1 is the format of the body in every kind. Later versions may add keys; readers of format 1 ignore
// them.
const keys = { format: 1, commitment: 2, wrapped: 3, origin: 2, halfYear: 3, auditors: 4, size: 2 } as const;

export const encodeKeyEpoch = (body: KeyEpoch): Uint8Array =>
  toCbor(
    new Map<number, unknown>([
      [keys.format, FORMAT],
      [keys.commitment, body.commitment],
      [keys.wrapped, body.wrapped],
    ]),
  );

export const encodeShardOpen = (body: ShardOpen): Uint8Array =>
  toCbor(
    new Map<number, unknown>([
      [keys.format, FORMAT],
      [keys.origin, body.origin],
      [keys.halfYear, body.halfYear],
      [keys.auditors, body.auditors],
    ]),
  );

export const encodeShardSeal = (body: ShardSeal): Uint8Array =>
  toCbor(
    new Map<number, unknown>([
      [keys.format, FORMAT],
      [keys.size, body.size],
    ]),
  );

/**
 * Reads a key-epoch body with its JWE in the exact profile; undefined for any other text. `follow` checks
 * that `aad` is this log's.
 */
export function readKeyEpoch(body: Uint8Array): (KeyEpoch & WrappedKey) | undefined {
  const map = formatOne(body);
  const [commitment, wrapped] = [map?.get(keys.commitment), map?.get(keys.wrapped)];
  if (!(commitment instanceof Uint8Array) || commitment.length !== HASH_BYTES || typeof wrapped !== "string")
    return undefined;
  const key = readWrappedKey(wrapped);
  return key && { commitment, wrapped, ...key };
}

export function readShardOpen(body: Uint8Array): ShardOpen | undefined {
  const map = formatOne(body);
  const [origin, halfYear, auditors] = [
    map?.get(keys.origin),
    map?.get(keys.halfYear),
    map?.get(keys.auditors),
  ];
  if (typeof origin !== "string" || typeof halfYear !== "string" || !isTexts(auditors)) return undefined;
  if (auditors.length < 2 || new Set(auditors).size !== auditors.length) return undefined;
  return { origin, halfYear, auditors };
}

export function readShardSeal(body: Uint8Array): ShardSeal | undefined {
  const size = formatOne(body)?.get(keys.size);
  return typeof size === "number" && size > 0 ? { size } : undefined;
}

function formatOne(body: Uint8Array): ReadonlyMap<number, unknown> | undefined {
  const map = fromCborMap(body);
  return map?.get(keys.format) === FORMAT ? map : undefined;
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");
