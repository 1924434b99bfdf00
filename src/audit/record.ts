import { fromCborMap, toCbor } from "#ledger/bytes/cbor";
import { err, ok, type Result } from "#kernel/result";
import { readEvent } from "./check.ts";
import type { AuditEvent } from "./event.ts";
import { worstCase } from "./worst-case.ts";

/** The content of a kind 0 leaf: an event or part of one. */
export interface AuditRecord {
  readonly event: AuditEvent;
  readonly part: number; // from 1
  readonly parts: number;
  readonly seed: Uint8Array; // of the salts of this leaf's accounting lines, 32 bytes
  /** Keys that this version does not know, kept for later readers. */
  readonly unknown: ReadonlyMap<number, unknown>;
}

const VERSION = 1;

/**
 * The key table of the plaintext (docs/ledger-format.md). A number never gets a second meaning; new keys get
 * new numbers.
 */
const keys = {
  version: 1,
  id: 2,
  at: 3,
  kind: 4,
  step: 5,
  part: 6,
  parts: 7,
  seed: 8,
  who: 9,
  from: 10,
  what: 11,
  why: 12,
  outcome: 13,
  patients: 14,
  unnamed: 15,
  counts: 16,
  withheld: 17,
  traceId: 18,
  tally: 19,
  window: 20,
  states: 21,
  configuration: 22,
  asked: 23,
  fill: 24,
} as const;
const groups = {
  who: {
    client: 1,
    certificate: 2,
    issuer: 3,
    tokenId: 4,
    keyId: 5,
    subject: 6,
    user: 7,
    patient: 8,
    operator: 9,
    jkt: 10,
    unbound: 11,
    signedBy: 12,
  },
  from: { address: 1, country: 2 },
  what: { interaction: 1, origin: 2, type: 3, id: 4, parameters: 5, method: 6, path: 7 },
  why: { purposes: 1, agreement: 2, policy: 3, grant: 4 },
  outcome: { status: 1, reason: 2 },
  withheld: { paths: 1, resources: 2 },
  window: { number: 1, complete: 2 },
  configuration: { worker: 1, digest: 2, settings: 3 },
} as const;
type Group = keyof typeof groups;
const groupNames = Object.keys(groups) as Group[]; // the keys of the table above

/**
 * The plaintext of a record: a deterministic CBOR map with the integer keys above, as long as that of its
 * worst case.
 */
export function encodeRecord(event: AuditEvent, part: number, parts: number, seed: Uint8Array): Uint8Array {
  const record = recordMap(event, part, parts, seed);
  if (event.reserve === undefined) return toCbor(record);
  const [length, longest] = [
    toCbor(record).length,
    toCbor(recordMap(worstCase(event), part, parts, seed)).length,
  ];
  return toCbor(record.set(keys.fill, filling(Math.max(0, longest - length) + emptyFill)));
}

// The key is two bytes, the head of a byte string at least one.
const emptyFill = 3;

/**
 * The filler that makes a record `bytes` longer, its key included. A byte string of 24 has a longer head than
 * a byte string of 23, so some lengths need an array around it.
 */
function filling(bytes: number): unknown {
  const head = (length: number) => (length < 24 ? 1 : length < 256 ? 2 : 3);
  const inside = (room: number) =>
    [room - 1, room - 2, room - 3].find((length) => length >= 0 && length + head(length) === room);
  const [plain, wrapped] = [inside(bytes - 2), inside(bytes - 3)];
  return plain === undefined ? [new Uint8Array(wrapped ?? 0)] : new Uint8Array(plain);
}

function recordMap(event: AuditEvent, part: number, parts: number, seed: Uint8Array): Map<number, unknown> {
  const map = new Map<number, unknown>([
    [keys.version, VERSION],
    [keys.id, new Uint8Array(Buffer.from(event.id, "hex"))],
    [keys.at, event.at],
    [keys.kind, event.kind],
    [keys.part, part],
    [keys.parts, parts],
    [keys.seed, seed],
  ]);
  if (event.step) map.set(keys.step, event.step);
  if (event.traceId !== undefined) map.set(keys.traceId, event.traceId);
  if (event.tally !== undefined) map.set(keys.tally, event.tally);
  if (event.patients.length > 0)
    map.set(
      keys.patients,
      event.patients.map(({ patient, counts }) => [patient, counts]),
    );
  const states = event.patients.map(({ state }) => state ?? null);
  if (states.some((state) => state !== null)) map.set(keys.states, states);
  if (event.asked !== undefined && event.asked.length > 0) map.set(keys.asked, event.asked);
  if (event.unnamed.length > 0) map.set(keys.unnamed, event.unnamed);
  if (Object.keys(event.counts).length > 0) map.set(keys.counts, event.counts);
  for (const group of groupNames) {
    const packed = pack(event[group], groups[group]);
    if (packed.size > 0) map.set(keys[group], packed);
  }
  return map;
}

/** Reads the plaintext of an opened leaf. Unknown keys are kept; known keys must have valid values. */
export function decodeRecord(
  plaintext: Uint8Array,
): Result<AuditRecord, "bad_record" | "unknown_record_version"> {
  const map = fromCborMap(plaintext);
  if (map === undefined) return err("bad_record");
  if (map.get(keys.version) !== VERSION) return err("unknown_record_version");
  const [id, part, parts, seed] = [
    map.get(keys.id),
    map.get(keys.part),
    map.get(keys.parts),
    map.get(keys.seed),
  ];
  const numbered = isCount(part) && isCount(parts) && part >= 1 && part <= parts;
  if (!(id instanceof Uint8Array) || !(seed instanceof Uint8Array) || seed.length !== 32 || !numbered)
    return err("bad_record");
  const event = readEvent({
    id: Buffer.from(id).toString("hex"),
    at: map.get(keys.at),
    kind: map.get(keys.kind),
    step: map.get(keys.step),
    traceId: map.get(keys.traceId),
    tally: fromMap(map.get(keys.tally)),
    asked: map.get(keys.asked),
    patients: located(pairs(map.get(keys.patients) ?? []), map.get(keys.states)),
    unnamed: map.get(keys.unnamed) ?? [],
    counts: fromMap(map.get(keys.counts) ?? new Map()),
    ...Object.fromEntries(groupNames.map((group) => [group, unpack(map.get(keys[group]), groups[group])])),
  });
  const known: readonly number[] = Object.values(keys);
  const unknown = new Map([...map].filter(([key]) => !known.includes(key)));
  return event.ok ? ok({ event: event.value, part, parts, seed, unknown }) : err("bad_record");
}

function pack(value: object | undefined, table: Readonly<Record<string, number>>): Map<number, unknown> {
  const known = Object.entries(value ?? {}).filter(([, field]) => field !== undefined);
  return new Map(known.map(([field, content]) => [table[field] ?? unpacked(), content]));
}

function unpack(value: unknown, table: Readonly<Record<string, number>>): unknown {
  if (!(value instanceof Map)) return value;
  return Object.fromEntries(Object.entries(table).map(([field, key]) => [field, value.get(key)]));
}

const pairs = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map((pair: unknown) =>
        Array.isArray(pair) ? { patient: pair[0], counts: fromMap(pair[1]) } : pair,
      )
    : value;

/** Joins the patients with their states, of which there must be as many; any further form is invalid. */
function located(patients: unknown, states: unknown): unknown {
  if (states === undefined) return patients;
  if (!Array.isArray(patients) || !Array.isArray(states) || patients.length !== states.length)
    return undefined;
  return patients.map((item: object, i) =>
    states[i] === null ? item : { ...item, state: states[i] as unknown },
  );
}

const fromMap = (value: unknown): unknown => (value instanceof Map ? Object.fromEntries(value) : value);

const isCount = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value);

function unpacked(): never {
  throw new Error("a field without a key in the record's table");
}
