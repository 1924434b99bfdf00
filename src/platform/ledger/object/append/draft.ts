import type { Secret } from "#kernel/secret";
import { accountingLines, isAccountable } from "#audit/accounting/line";
import { writeLineConsents } from "#audit/accounting/line-consents";
import { readEvent } from "#audit/check";
import { digestsNamed } from "#audit/definition";
import type { AuditEvent } from "#audit/event";
import { endsOf, trafficOf } from "#audit/traffic/count";
import type { RequestEnd } from "#audit/traffic/ends";
import type { Traffic } from "#audit/traffic/instruments";
import { APPEND_LEAF_BYTES_MAX, bytesOfLines, LINE_BYTES_MAX, RECORDS_MAX } from "#audit/append-size";
import { type EventRecord, recordsOf } from "#audit/split";
import { sha256Of } from "#ledger/bytes/hash";
import { linesRoot } from "#ledger/leaf/lines";
import { leafLength } from "#ledger/leaf/padding";
import { recordSeed } from "#platform/ledger/object/log/key-epoch";

/** An append, ready to be sealed: everything that does not depend on its place in the log. */
export interface Draft {
  readonly id: string; // of the first event
  readonly step: number;
  // the first 16 bytes of SHA-256 over the records without their seeds: distinguishes a retry from a different
  // event with its id
  readonly digest: Uint8Array;
  readonly definitions: readonly string[]; // digests that the events name, each once
  readonly records: readonly DraftRecord[];
  readonly leafBytes: number;
  readonly lineBytes: number;
  /** The numbers that its records add (audit/traffic). */
  readonly traffic: Traffic;
  readonly ends: readonly RequestEnd[];
}

export interface DraftRecord {
  readonly plaintext: Uint8Array;
  readonly seed: Uint8Array;
  readonly lines: readonly Uint8Array[];
  /** The Consents beside each line (audit/accounting/line-consents); undefined: no line has any. */
  readonly consents: readonly Uint8Array[] | undefined;
  readonly linesRoot: Uint8Array;
}

/**
 * Checks the events of an append and makes its records. Throws a TypeError for an invalid event and a
 * RangeError for an append that fits no frame. Both come before anything is written, and their texts contain
 * no value.
 */
export function draftAppend(input: unknown, subjectKey: Secret<Uint8Array>): Draft {
  if (!Array.isArray(input) || input.length === 0 || input.length > RECORDS_MAX)
    throw new TypeError("ledger: an append is 1 to 254 events");
  const events = input.map(readWritable);
  const written = events.flatMap(writtenOf);
  const digest = sha256Of(written.map(({ plaintext }) => plaintext)).subarray(0, 16); // before their seeds
  const drafted = written.map((record) => draftRecord(record, subjectKey));
  const leafBytes = drafted.reduce((sum, { plaintext }) => sum + leafLength(plaintext.length), 0);
  // a disclosure is never refused for what stands beside its lines
  const isTooMuch = lineBytesOf(drafted) > LINE_BYTES_MAX;
  const records = isTooMuch ? drafted.map((record) => ({ ...record, consents: undefined })) : drafted;
  const lineBytes = lineBytesOf(records);
  if (records.length > RECORDS_MAX || leafBytes > APPEND_LEAF_BYTES_MAX || lineBytes > LINE_BYTES_MAX) {
    const patients = events.reduce((sum, event) => sum + event.patients.length, 0);
    throw new RangeError(
      `ledger: an append of ${patients} patients fits no frame: ${records.length} records of ${RECORDS_MAX}, ` +
        `${leafBytes} leaf bytes of ${APPEND_LEAF_BYTES_MAX}, ${lineBytes} line bytes of ${LINE_BYTES_MAX}`,
    );
  }
  const [first] = events;
  if (first === undefined) throw new TypeError("ledger: an append is 1 to 254 events");
  const definitions = [...new Set(events.flatMap(digestsNamed))];
  const ends = endsOf(events);
  const traffic = trafficOf(events, ends);
  const { id, step = 0 } = first;
  return { id, step, digest, definitions, records, leafBytes, lineBytes, traffic, ends };
}

function readWritable(input: unknown): AuditEvent {
  const event = readEvent(input);
  if (!event.ok) throw new TypeError(`ledger: bad event: ${event.error.field}`);
  if (!isAccountable(event.value))
    throw new TypeError("ledger: bad event: an unknown kind, or a disclosure without recipient or purpose");
  return event.value;
}

function writtenOf(event: AuditEvent): readonly EventRecord[] {
  const records = recordsOf(event);
  if (!records.ok)
    throw new RangeError("ledger: an event is too large for a record even without its patients");
  return records.value;
}

function draftRecord({ event, plaintext, seedAt }: EventRecord, subjectKey: Secret<Uint8Array>): DraftRecord {
  const seed = recordSeed();
  plaintext.set(seed, seedAt);
  const lines = accountingLines(event, subjectKey);
  const root = lines.length === 0 ? recordSeed() : linesRoot(seed, lines);
  return {
    plaintext,
    seed,
    lines,
    consents: lines.length === 0 ? undefined : consentsOf(event),
    linesRoot: root,
  };
}

/** The Consents beside the line of each patient of an event. */
function consentsOf({ patients, permits = [] }: AuditEvent): readonly Uint8Array[] | undefined {
  if (permits.length === 0) return undefined;
  const byPatient = Map.groupBy(permits, ({ patient }) => patient);
  const consents = patients.map(({ patient }) => {
    const found = byPatient.get(patient);
    return found === undefined ? new Uint8Array() : writeLineConsents(found);
  });
  return consents.some(({ length }) => length > 0) ? consents : undefined;
}

const lineBytesOf = (records: readonly Pick<DraftRecord, "lines" | "consents">[]): number =>
  records.reduce((sum, { lines, consents = [] }) => sum + rowBytes(lines) + rowBytes(consents), 0);
const rowBytes = (lines: readonly Uint8Array[]): number => bytesOfLines(lines.map(({ length }) => length));
