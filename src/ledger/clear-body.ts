import { fromCborMap, toCbor } from "./cbor.ts";
import { HASH_BYTES } from "./merkle.ts";

/** The body of a key-epoch leaf (kind 1). `wrapped` is a JWE in General JSON Serialization (RFC 7516 §7.2.1) for the auditors. */
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

/** The body of the leaves that end a log and fill its last bundle (kind 3): how many leaves the log had before the first of them. */
export interface ShardSeal {
  readonly size: number;
}

const FORMAT = 1;
// Key 1 is the format of the body in every kind. Keys that are not listed may be added and are ignored by readers of format 1.
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

/** A key-epoch body with at least two recipients, each with a `kid`; undefined for anything else. */
export function readKeyEpoch(body: Uint8Array): (KeyEpoch & { readonly recipients: readonly string[] }) | undefined {
  const map = formatOne(body);
  const [commitment, wrapped] = [map?.get(keys.commitment), map?.get(keys.wrapped)];
  if (!(commitment instanceof Uint8Array) || commitment.length !== HASH_BYTES || typeof wrapped !== "string") return undefined;
  const recipients = recipientsOf(wrapped);
  return recipients === undefined || recipients.length < 2 ? undefined : { commitment, wrapped, recipients };
}

export function readShardOpen(body: Uint8Array): ShardOpen | undefined {
  const map = formatOne(body);
  const [origin, halfYear, auditors] = [map?.get(keys.origin), map?.get(keys.halfYear), map?.get(keys.auditors)];
  if (typeof origin !== "string" || typeof halfYear !== "string" || !isTexts(auditors) || auditors.length < 2) return undefined;
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

function recipientsOf(jwe: string): string[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(jwe);
  } catch {
    return undefined; // JSON.parse throws for text that is not JSON only
  }
  if (!isObject(parsed) || !Array.isArray(parsed["recipients"])) return undefined;
  const kids = parsed["recipients"].map((one: unknown) => (isObject(one) && isObject(one["header"]) ? one["header"]["kid"] : undefined));
  return isTexts(kids) && new Set(kids).size === kids.length ? kids : undefined;
}

const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every((one) => typeof one === "string");

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
