import { memo } from "#kernel/memo";
import type { Secret } from "#kernel/secret";
import { utf8 } from "#kernel/encoded";
import { fromCbor, toCbor } from "#ledger/bytes/cbor";
import { hmacSha256 } from "#ledger/bytes/hash";
import { type AuditEvent, type Counts, type EventKind, eventKinds } from "#audit/event";

// Version 2 has the form of 45 CFR 164.514 behind the counts.
const [LINE_VERSION, FORM_LINE_VERSION] = [1, 2];

/**
 * The key under which a patient's accounting lines are stored: HMAC-SHA-256(six-year key,
 * `<origin>/Patient/<id>`), 32 bytes. One key serves for six years (45 CFR 164.528(a)(3)), so that a
 * single look-up finds all lines.
 */
export function subjectKey(key: Secret<Uint8Array>, patient: string): Uint8Array {
  let subjectOf = subjectsOf.get(key);
  if (subjectOf === undefined) {
    subjectOf = memo(SUBJECTS_MAX, (patient) => hmac(key, patient));
    subjectsOf.set(key, subjectOf);
  }
  return subjectOf(patient);
}

// A reference is at most 138 characters, so an object's subjects take about a megabyte.
const SUBJECTS_MAX = 4_096;
const subjectsOf = new WeakMap<Secret<Uint8Array>, (patient: string) => Uint8Array>();
const hmac = (key: Secret<Uint8Array>, text: string): Uint8Array => hmacSha256(key.reveal(), utf8(text));

/**
 * The accounting lines of an event, one per patient in their order: the disclosed patient and resources, the
 * recipient, the time and the purpose (45 CFR 164.528(b)(2)). Each is the deterministic CBOR array [1,
 * subject key, time in ms, recipient, [purposes], agreement or null, { type: count }]; of rows that left in a form
 * of 45 CFR 164.514 [2, …, { type: count }, form]. Frozen: commitments are over these bytes.
 */
export function accountingLines(event: AuditEvent, key: Secret<Uint8Array>): readonly Uint8Array[] {
  return linesOf(event, (patient) => subjectKey(key, patient));
}

/** Returns the lengths of the lines of an event. They do not depend on the six-year key. */
export function lineLengths(event: AuditEvent): readonly number[] {
  const subject = new Uint8Array(32);
  return linesOf(event, () => subject).map(({ length }) => length);
}

function linesOf(event: AuditEvent, subjectOf: (patient: string) => Uint8Array): readonly Uint8Array[] {
  if (!isKind(event.kind) || !eventKinds[event.kind].discloses) return [];
  const [recipient, purposes, agreement] = [
    event.who?.client,
    event.why?.purposes,
    event.why?.agreement ?? null,
  ];
  const form = event.form?.kind;
  const [version, ofForm] = form === undefined ? [LINE_VERSION, []] : [FORM_LINE_VERSION, [form]];
  return event.patients.map(({ patient, counts }) =>
    toCbor([version, subjectOf(patient), event.at, recipient, purposes, agreement, counts, ...ofForm]),
  );
}

/** A disclosure of a patient, as its line states it. */
export interface AccountingLine {
  readonly subject: Uint8Array; // the patient's subject key, 32 bytes
  readonly at: number; // ms since 1970
  readonly recipient: string; // client id
  readonly purposes: readonly string[]; // v3 ActReason codes
  readonly agreement: string | undefined;
  readonly counts: Counts;
  /** The form of 45 CFR 164.514 in which the rows left; undefined: as they are. */
  readonly form?: string | undefined;
}

// CBOR: an array of 7, the number 1, 32 bytes; or an array of 8, the number 2, 32 bytes.
const heads: readonly (readonly number[])[] = [
  [0x87, LINE_VERSION, 0x58, 32],
  [0x88, FORM_LINE_VERSION, 0x58, 32],
];
const headLength = 4;

/**
 * The subject key of a line's content, without a full parse; undefined for bytes that are no line of a
 * known version.
 */
export const subjectOf = (content: Uint8Array): Uint8Array | undefined =>
  content.length > headLength + 32 && heads.some((head) => head.every((byte, at) => content[at] === byte))
    ? content.subarray(headLength, headLength + 32)
    : undefined;

/** Reads a line's content; undefined for bytes that are no line of a known version. */
export function readLine(content: Uint8Array): AccountingLine | undefined {
  const value = fromCbor(content);
  if (!Array.isArray(value) || value.length < 7 || value.length > 8) return undefined;
  const [version, subject, at, recipient, purposes, agreement, counts, form]: unknown[] = value;
  if (version !== (value.length === 7 ? LINE_VERSION : FORM_LINE_VERSION)) return undefined;
  if (value.length === 8 && typeof form !== "string") return undefined;
  if (!(subject instanceof Uint8Array) || subject.length !== 32) return undefined;
  if (typeof at !== "number" || at < 0 || typeof recipient !== "string" || !isTexts(purposes))
    return undefined;
  if ((agreement !== null && typeof agreement !== "string") || !isCounts(counts)) return undefined;
  return {
    subject,
    at,
    recipient,
    purposes,
    agreement: agreement ?? undefined,
    counts: Object.fromEntries(counts),
    ...(typeof form === "string" && { form }),
  };
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");
const isCounts = (value: unknown): value is Map<string, number> =>
  value instanceof Map &&
  [...value].every(([type, count]) => typeof type === "string" && typeof count === "number" && count >= 0);

/**
 * Answers whether an event has the facts that its disclosure needs for a record: no accounting could
 * list it without recipient and purpose.
 */
export function isAccountable(event: AuditEvent): boolean {
  if (!isKind(event.kind)) return false;
  if (!eventKinds[event.kind].discloses || event.patients.length === 0) return true;
  return event.who?.client !== undefined && (event.why?.purposes ?? []).length > 0;
}

const isKind = (kind: string): kind is EventKind => Object.hasOwn(eventKinds, kind);
