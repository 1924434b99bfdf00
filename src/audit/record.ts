import { fromHex } from "#ledger/bytes/bytes";
import { fromCborMap } from "#ledger/bytes/cbor";
import { CborWriter } from "#ledger/bytes/cbor-writer";
import { memo } from "#kernel/memo";
import { err, ok, type Result } from "#kernel/result";
import { readEvent } from "./check.ts";
import type { AuditEvent, Counts } from "./event.ts";
import { type Short, type ShortForm, shortForms, type ShortGroup, shortGroups } from "./short-forms.ts";
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
  definition: 25,
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
  withheld: { paths: 1, resources: 2, pathsDigest: 3 },
  window: { number: 1, complete: 2 },
  configuration: { worker: 1, digest: 2, settings: 3 },
  definition: { contentDigest: 1, chunk: 2 },
} as const satisfies { readonly [G in Group]: Readonly<Record<keyof NonNullable<AuditEvent[G]>, number>> };
// Hex in an event, 32 bytes in a record.
const digestFields: ReadonlySet<string> = new Set(["pathsDigest", "contentDigest"]);
type Group =
  | "who"
  | "from"
  | "what"
  | "why"
  | "outcome"
  | "withheld"
  | "window"
  | "configuration"
  | "definition";
const groupNames = Object.keys(groups) as Group[]; // the keys of the table above

/** The plaintext of a record whose seed is still 32 zeros, and the place of the seed in it. */
export interface UnseededRecord {
  readonly plaintext: Uint8Array;
  readonly seedAt: number;
}

/**
 * The plaintext of a record: a deterministic CBOR map with the integer keys above, as long as that of its
 * worst case.
 */
export function encodeRecord(event: AuditEvent, part: number, parts: number, seed: Uint8Array): Uint8Array {
  const { plaintext, seedAt } = encodeUnseeded(event, part, parts);
  plaintext.set(seed, seedAt);
  return plaintext;
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

const noSeed: Uint8Array = new Uint8Array(32);

/**
 * Like `encodeRecord`, without the seed: equal events have equal bytes. Writes the record in the order of its
 * keys, in one pass: the fields that rows decide come before the filler, so their length is known there.
 */
export function encodeUnseeded(event: AuditEvent, part: number, parts: number): UnseededRecord {
  const writer = new CborWriter();
  const longest = event.reserve === undefined ? undefined : decidedLength(writer, worstCase(event));
  let seedAt = 0;
  let decided = 0; // bytes of the fields that rows decide
  const value = (key: number, value: unknown): 0 | 1 => {
    if (value === undefined) return 0;
    writer.unsigned(key);
    writer.item(value);
    return 1;
  };
  const group = (name: Group): 0 | 1 => writeGroup(writer, name, event);
  const ofRows = (write: DecidedField): 0 | 1 => {
    const before = writer.length;
    const count = write(writer, event);
    decided += writer.length - before;
    return count;
  };
  writer.mapOf(() => {
    let count = value(keys.version, VERSION);
    count += value(keys.id, fromHex(event.id));
    count += value(keys.at, event.at);
    count += value(keys.kind, event.kind);
    if (event.step) count += value(keys.step, event.step);
    count += value(keys.part, part) + value(keys.parts, parts) + value(keys.seed, noSeed);
    seedAt = writer.length - noSeed.length;
    count += group("who") + group("from") + group("what") + group("why");
    count += ofRows(writeOutcome) + ofRows(writePatients) + ofRows(writeUnnamed);
    if (hasMembers(event.counts)) count += value(keys.counts, event.counts);
    count += ofRows(writeWithheld) + value(keys.traceId, event.traceId) + value(keys.tally, event.tally);
    count += group("window") + ofRows(writeStates) + group("configuration");
    if (event.asked !== undefined && event.asked.length > 0) count += value(keys.asked, event.asked);
    if (longest !== undefined) count += value(keys.fill, filling(Math.max(0, longest - decided) + emptyFill));
    return count + group("definition");
  });
  return { plaintext: writer.finish(), seedAt };
}

/** Writes a field under its key, if it is not empty; returns the number of entries that it added. */
type DecidedField = (writer: CborWriter, event: AuditEvent) => 0 | 1;

const writeOutcome: DecidedField = (writer, event) => writeGroup(writer, "outcome", event);
const writeWithheld: DecidedField = (writer, event) => writeGroup(writer, "withheld", event);

const writePatients: DecidedField = (writer, { patients }) => {
  if (patients.length === 0) return 0;
  writer.unsigned(keys.patients);
  writer.array(patients.length);
  for (const { patient, counts } of patients) {
    writer.array(2);
    writer.text(patient);
    writer.item(counts);
  }
  return 1;
};

const writeUnnamed: DecidedField = (writer, { unnamed }) => {
  if (unnamed.length === 0) return 0;
  writer.unsigned(keys.unnamed);
  writer.item(unnamed);
  return 1;
};

const writeStates: DecidedField = (writer, { patients }) => {
  if (!patients.some(({ state }) => state !== undefined)) return 0;
  writer.unsigned(keys.states);
  writer.array(patients.length);
  for (const { state } of patients) writer.item(state ?? null);
  return 1;
};

// The fields of a worst case that differ from its event (audit/worst-case).
const decidedFields = [writeOutcome, writePatients, writeUnnamed, writeWithheld, writeStates] as const;

/** The bytes of the fields that rows decide. Leaves the writer as it was. */
function decidedLength(writer: CborWriter, event: AuditEvent): number {
  const before = writer.length;
  for (const write of decidedFields) write(writer, event);
  const { length } = writer;
  writer.takeBack(before);
  return length - before;
}

/** A field of a group: its key, and its short form if it has any. */
interface GroupField {
  readonly field: string;
  readonly key: number;
  readonly form: ShortForm | undefined;
}

const formsOf = (name: Group): readonly ShortForm[] =>
  Object.hasOwn(shortForms, name) ? shortForms[name as ShortGroup] : []; // it is a key of the table

// The fields of each group in the order of their keys.
const fieldsOf: Readonly<Record<Group, readonly GroupField[]>> = Object.fromEntries(
  groupNames.map((name) => [
    name,
    Object.entries<number>(groups[name])
      .toSorted(([, a], [, b]) => a - b)
      .map(([field, key]) => ({ field, key, form: formsOf(name).find((form) => form.field === field) })),
  ]),
) as Record<Group, GroupField[]>; // each group is there

/** A group with at least one field, under its key; returns the number of entries that it added. */
function writeGroup(writer: CborWriter, name: Group, event: AuditEvent): 0 | 1 {
  // the table of the group has all of its fields
  const group = event[name] as Readonly<Record<string, unknown>> | undefined;
  if (group === undefined) return 0;
  const before = writer.length;
  writer.unsigned(keys[name]);
  const count = writer.mapOf(() => {
    let count = 0;
    const short: (readonly [key: number, value: Short])[] = []; // their keys are the greatest
    for (const { field, key, form } of fieldsOf[name]) {
      const content = group[field];
      if (content === undefined) continue;
      count++;
      const shorter = typeof content === "string" ? form?.short(content, event) : undefined;
      if (form !== undefined && shorter !== undefined) {
        short.push([form.key, shorter]);
        continue;
      }
      writer.unsigned(key);
      writer.item(typeof content === "string" && digestFields.has(field) ? digestBytes(content) : content);
    }
    for (const [key, value] of short) {
      writer.unsigned(key);
      writer.item(value);
    }
    return count;
  });
  if (count > 0) return 1;
  writer.takeBack(before);
  return 0;
}

// A digest of withheld paths comes with each read through its view.
const digestBytes = memo(1_024, fromHex);

const hasMembers = (counts: Counts): boolean => {
  for (const _ in counts) return true;
  return false;
};

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
  const spelled = {
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
  };
  if (!putTexts(spelled, map)) return err("bad_record");
  const event = readEvent(spelled);
  const known: readonly number[] = Object.values(keys);
  const unknown = new Map([...map].filter(([key]) => !known.includes(key)));
  return event.ok ? ok({ event: event.value, part, parts, seed, unknown }) : err("bad_record");
}

function unpack(value: unknown, table: Readonly<Record<string, number>>): unknown {
  if (!(value instanceof Map)) return value;
  return Object.fromEntries(
    Object.entries(table).map(([field, key]) => [
      field,
      digestFields.has(field) ? hexOf(value.get(key)) : value.get(key),
    ]),
  );
}

/**
 * Puts the texts of a record's short forms into its groups. False when a short form is invalid, or stands
 * beside its text.
 */
function putTexts(event: Readonly<Record<string, unknown>>, map: ReadonlyMap<number, unknown>): boolean {
  return shortGroups.every((name) => {
    const spelled = map.get(keys[name]);
    if (!(spelled instanceof Map)) return true;
    const group = event[name] as Record<string, unknown>; // `unpack` made it of that map
    return shortForms[name].every((form) => {
      const value: unknown = spelled.get(form.key);
      if (value === undefined) return true;
      const text = group[form.field] === undefined ? form.long(value, event) : undefined;
      group[form.field] = text;
      return text !== undefined;
    });
  });
}

/** A digest that is not 32 bytes becomes null, which no check accepts. */
const hexOf = (digest: unknown): string | null | undefined => {
  if (digest === undefined) return undefined;
  return digest instanceof Uint8Array && digest.length === 32 ? Buffer.from(digest).toString("hex") : null;
};

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
