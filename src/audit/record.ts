import { fromHex } from "#ledger/bytes/bytes";
import { fromCborMap } from "#ledger/bytes/cbor";
import { CborWriter } from "#ledger/bytes/cbor-writer";
import { memo } from "#kernel/memo";
import { err, ok, type Result } from "#kernel/result";
import { readEvent } from "./check.ts";
import { type EventGroup, eventGroups, type GroupField, groupNames } from "./event-groups.ts";
import type { AuditEvent, Counts, PatientCounts } from "./event.ts";
import { type Short, type ShortForm, shortForms, type ShortGroup, shortGroups } from "./short-forms.ts";
import { isCount } from "./values.ts";
import { type DecidedFields, worstCase } from "./worst-case.ts";

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
const idBytes = 16;

/**
 * The key table of the plaintext (docs/ledger-format.md); the fields of groups have keys of their own. A number
 * never gets a second meaning; new keys get new numbers.
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
  consents: 26,
  emergency: 27,
  document: 30,
  approval: 32,
  decision: 33,
  measured: 35,
  unjudged: 36,
  form: 37,
  authority: 38,
} as const;
// A digest is hex in an event and bytes in a record.
const digestFields: ReadonlySet<string> = new Set([
  "pathsDigest",
  "contentDigest",
  "textDigest",
  "consentDigest",
]);
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
  const [plain, wrapped] = [bytesInside(bytes - 2), bytesInside(bytes - 3)];
  return plain === undefined ? [new Uint8Array(wrapped ?? 0)] : new Uint8Array(plain);
}

/** The length of the byte string that takes this room with its head, if there is one. */
function bytesInside(room: number): number | undefined {
  if (room <= 24) return room - 1;
  if (room === 25 || room === 258) return undefined;
  return room <= 257 ? room - 2 : room - 3;
}

const noSeed: Uint8Array = new Uint8Array(32);

/**
 * The record of `encodeRecord` without its seed: equal events have equal bytes. Writes the record in the order of its
 * keys, in one pass: the fields that rows decide come before the filler, so their length is known there.
 */
export function encodeUnseeded(event: AuditEvent, part: number, parts: number): UnseededRecord {
  const writer = new CborWriter();
  const longest = event.reserve === undefined ? undefined : decidedLength(writer, worstCase(event), event);
  const { step, asked, withheld, window, configuration, definition, document } = event;
  const map = writer.mapStart();
  let count = writeField(writer, keys.version, VERSION);
  count += writeField(writer, keys.id, fromHex(event.id));
  count += writeField(writer, keys.at, event.at);
  count += writeField(writer, keys.kind, event.kind);
  if (step) count += writeField(writer, keys.step, step);
  count += writeField(writer, keys.part, part);
  count += writeField(writer, keys.parts, parts);
  count += writeField(writer, keys.seed, noSeed);
  const seedAt = writer.length - noSeed.length;
  count += writeGroup(writer, "who", event.who, event);
  count += writeGroup(writer, "from", event.from, event);
  count += writeGroup(writer, "what", event.what, event);
  count += writeGroup(writer, "why", event.why, event);
  let before = writer.length;
  count += writeGroup(writer, "outcome", event.outcome, event);
  count += writePatients(writer, event) + writeUnnamed(writer, event);
  let decided = writer.length - before; // bytes of the fields that rows decide
  if (hasMembers(event.counts)) count += writeField(writer, keys.counts, event.counts);
  before = writer.length;
  count += writeGroup(writer, "withheld", withheld, event);
  decided += writer.length - before;
  count += writeField(writer, keys.traceId, event.traceId) + writeField(writer, keys.tally, event.tally);
  count += writeGroup(writer, "window", window, event);
  before = writer.length;
  count += writeStates(writer, event);
  decided += writer.length - before;
  count += writeGroup(writer, "configuration", configuration, event);
  if (asked !== undefined && asked.length > 0) count += writeField(writer, keys.asked, asked);
  if (longest !== undefined) decided += lengthBehind(writer, event);
  if (longest !== undefined)
    count += writeField(writer, keys.fill, filling(Math.max(0, longest - decided) + emptyFill));
  count += writeGroup(writer, "definition", definition, event);
  if (event.consents !== undefined) count += writeField(writer, keys.consents, fromHex(event.consents));
  count += writeGroup(writer, "emergency", event.emergency, event);
  count += writeGroup(writer, "document", document, event);
  count += writeGroup(writer, "approval", event.approval, event);
  count += writeGroup(writer, "decision", event.decision, event);
  count += writeGroup(writer, "measured", event.measured, event);
  count += writeUnjudged(writer, event);
  count += writeGroup(writer, "form", event.form, event);
  if (event.authority !== undefined) count += writeField(writer, keys.authority, fromHex(event.authority));
  writer.mapEnd(map, count);
  return { plaintext: writer.finish(), seedAt };
}

/** The bytes of the fields that rows decide. Leaves the writer as it was. */
function decidedLength(writer: CborWriter, fields: DecidedFields, event: AuditEvent): number {
  const before = writer.length;
  writeGroup(writer, "outcome", fields.outcome);
  writePatients(writer, fields);
  writeUnnamed(writer, fields);
  writeGroup(writer, "withheld", fields.withheld);
  writeStates(writer, fields);
  writeGroup(writer, "decision", fields.decision, event);
  writeUnjudged(writer, fields);
  const { length } = writer;
  writer.takeBack(before);
  return length - before;
}

/** The bytes of the fields that rows decide and that come after the filler. Leaves the writer as it was. */
function lengthBehind(writer: CborWriter, event: AuditEvent): number {
  const before = writer.length;
  writeGroup(writer, "decision", event.decision, event);
  writeUnjudged(writer, event);
  const { length } = writer;
  writer.takeBack(before);
  return length - before;
}

// Each `write…` writes a field under its key if it has content, and returns the number of entries that it added.

function writeField(writer: CborWriter, key: number, value: unknown): 0 | 1 {
  if (value === undefined) return 0;
  writer.unsigned(key);
  writer.item(value);
  return 1;
}

function writePatients(writer: CborWriter, { patients }: DecidedFields): 0 | 1 {
  if (patients.length === 0) return 0;
  writer.unsigned(keys.patients);
  writer.array(patients.length);
  for (const { patient, counts } of patients) {
    writer.array(2);
    writer.text(patient);
    writer.item(counts);
  }
  return 1;
}

function writeUnnamed(writer: CborWriter, { unnamed }: DecidedFields): 0 | 1 {
  return unnamed.length === 0 ? 0 : writeField(writer, keys.unnamed, unnamed);
}

function writeUnjudged(writer: CborWriter, { unjudged = 0 }: DecidedFields): 0 | 1 {
  return unjudged === 0 ? 0 : writeField(writer, keys.unjudged, unjudged);
}

function writeStates(writer: CborWriter, { patients }: DecidedFields): 0 | 1 {
  if (!patients.some(isLocated)) return 0;
  writer.unsigned(keys.states);
  writer.array(patients.length);
  for (const { state } of patients) writer.item(state ?? null);
  return 1;
}

const isLocated = ({ state }: PatientCounts): boolean => state !== undefined;

const formsOf = (name: EventGroup): readonly ShortForm[] =>
  Object.hasOwn(shortForms, name) ? shortForms[name as ShortGroup] : []; // it is a key of the table

/** The keys of the fields of each group, with the short form of a field if there is any. */
const writtenFields = Object.fromEntries(
  groupNames.map((name) => [
    name,
    Object.entries<GroupField>(eventGroups[name]).map(([field, [key]]) => ({
      field,
      key,
      form: formsOf(name).find((form) => form.field === field),
    })),
  ]),
);

/** `event`: the event of the group, from which short forms follow. */
function writeGroup<Name extends EventGroup>(
  writer: CborWriter,
  name: Name,
  group: AuditEvent[Name],
  event?: AuditEvent,
): 0 | 1 {
  if (group === undefined) return 0;
  const contents = group as Readonly<Record<string, unknown>>; // the table of the group has all of its fields
  const before = writer.length;
  writer.unsigned(keys[name]);
  const map = writer.mapStart();
  let count = 0;
  let short: (readonly [key: number, value: Short])[] | undefined; // their keys are the greatest
  for (const { field, key, form } of writtenFields[name] ?? []) {
    const content = contents[field];
    if (content === undefined) continue;
    count++;
    const isText = typeof content === "string";
    const shorter = isText && event !== undefined ? form?.short(content, event) : undefined;
    if (form !== undefined && shorter !== undefined) {
      (short ??= []).push([form.key, shorter]);
      continue;
    }
    writer.unsigned(key);
    writer.item(isText && digestFields.has(field) ? digestBytes(content) : content);
  }
  if (short !== undefined) for (const [key, value] of short) writeField(writer, key, value);
  if (count === 0) writer.takeBack(before);
  else writer.mapEnd(map, count);
  return count === 0 ? 0 : 1;
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
    consents: hexOf(map.get(keys.consents)),
    authority: hexOf(map.get(keys.authority), idBytes),
    unjudged: map.get(keys.unjudged),
    patients: located(pairs(map.get(keys.patients) ?? []), map.get(keys.states)),
    unnamed: map.get(keys.unnamed) ?? [],
    counts: fromMap(map.get(keys.counts) ?? new Map()),
    ...Object.fromEntries(
      groupNames.map((group) => [group, unpack(map.get(keys[group]), eventGroups[group])]),
    ),
  };
  if (!putTexts(spelled, map)) return err("bad_record");
  const event = readEvent(spelled);
  const known: readonly number[] = Object.values(keys);
  const unknown = new Map([...map].filter(([key]) => !known.includes(key)));
  return event.ok ? ok({ event: event.value, part, parts, seed, unknown }) : err("bad_record");
}

function unpack(value: unknown, table: Readonly<Record<string, GroupField>>): unknown {
  if (!(value instanceof Map)) return value;
  return Object.fromEntries(
    Object.entries(table).map(([field, [key]]) => [
      field,
      digestFields.has(field) ? hexOf(value.get(key)) : fromMap(value.get(key)),
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
const hexOf = (digest: unknown, length = 32): string | null | undefined => {
  if (digest === undefined) return undefined;
  return digest instanceof Uint8Array && digest.length === length
    ? Buffer.from(digest).toString("hex")
    : null;
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
