import { isPlainObject } from "#kernel/plain-object";
import { stateBytesMax } from "#residence/residence";
import { err, ok, type Result } from "#kernel/result";
import { configurationDigest } from "./configuration.ts";
import { type AuditEvent, definitionKind, type EventKind } from "./event.ts";
import { type EventGroup, eventGroups, type GroupField, groupNames } from "./event-groups.ts";
import {
  type ValueCheck,
  countsOf,
  isCount,
  isDigest,
  isHexId,
  isPatient,
  isPurpose,
  isRecordText,
  isShort,
  listOf,
  permitPurposesMax,
  permitsMax,
  textOfForm,
} from "./values.ts";

export interface BadEvent {
  readonly reason: "bad_event";
  readonly field: string; // never its value
}

// Far above the needs of a real request: these bounds limit the data that a faulty caller can make the ledger
// store.
const ITEMS_MAX = 100_000;
const ASKED_MAX = 1000; // a question names a hundred at most
const TYPES_MAX = 200; // R4 has 148 resource types
const TALLY_MAX = 400; // the doors refuse for fewer reasons than 300

const typeCounts = countsOf(/^[A-Za-z]{1,64}$/, TYPES_MAX);
const state: ValueCheck = (value) =>
  value === undefined || (typeof value === "string" && value !== "" && isShort(value, stateBytesMax));

/** An object with these fields alone. */
const objectOf = (fields: Readonly<Record<string, ValueCheck>>): ValueCheck => {
  const checks = Object.entries(fields);
  return (value) =>
    isPlainObject(value) &&
    Object.keys(value).every((field) => Object.hasOwn(fields, field)) &&
    checks.every(([field, check]) => check(value[field]));
};

const required: Readonly<Record<string, ValueCheck>> = {
  id: isHexId,
  at: isCount,
  kind: textOfForm(/^[a-z][a-z0-9-]{0,31}$/),
  patients: listOf(objectOf({ patient: isPatient, counts: typeCounts, state }), ITEMS_MAX),
  unnamed: listOf(isRecordText, ITEMS_MAX),
  counts: typeCounts,
};
const permit = objectOf({
  patient: isPatient,
  consent: textOfForm(/^[A-Za-z0-9_-]{43}$/),
  digest: isDigest,
  given: (value) => value === undefined || textOfForm(/^[0-9TZ:.-]{4,24}$/)(value),
  filedAt: isCount,
  purposes: listOf(isPurpose, permitPurposesMax),
});
/** The Consents of good form, up to the limit: what stands beside its lines never refuses an event. */
const permitsIn = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value.filter(permit).slice(0, permitsMax) : [];
const optional: Readonly<Record<string, ValueCheck>> = {
  step: isCount,
  traceId: isRecordText,
  tally: countsOf(/^[a-z][a-z0-9_]{0,63}$/, TALLY_MAX),
  asked: listOf(isPatient, ASKED_MAX),
  consents: isDigest,
  reserve: objectOf({
    names: (value) => isCount(value) && value <= ITEMS_MAX,
    unseen: listOf(isPatient, ITEMS_MAX),
    counts: typeCounts,
    unnamed: listOf(isRecordText, ITEMS_MAX),
  }),
  unjudged: isCount,
  authority: isHexId,
};

// The tables as lists, made once: each append reads its events.
const requiredChecks = Object.entries(required);
const optionalChecks = Object.entries(optional);
const groupChecks = groupNames.map((group) => {
  const fields: Readonly<Record<string, GroupField>> = eventGroups[group];
  return { group, fields, checks: Object.entries(fields) };
});
const permitsField = "permits" satisfies keyof AuditEvent;
const eventFields = new Set([
  ...[required, optional, eventGroups].flatMap((table) => Object.keys(table)),
  permitsField,
]);

/**
 * Reads an event that crossed a boundary: every field is known, of its type and within bounds, and each
 * patient is named once. The result is a copy with only the present fields, in a fixed order, so that equal
 * events have equal bytes.
 */
export function readEvent(value: unknown): Result<AuditEvent, BadEvent> {
  if (!isPlainObject(value)) return bad("event");
  const event: Record<string, unknown> = {};
  for (const [field, check] of requiredChecks) {
    if (!check(value[field])) return bad(field);
    event[field] = value[field];
  }
  for (const [field, check] of optionalChecks) {
    if (value[field] === undefined) continue;
    if (!check(value[field])) return bad(field);
    event[field] = value[field];
  }
  const permits = permitsIn(value[permitsField]);
  if (permits.length > 0) event[permitsField] = permits;
  for (const row of groupChecks) {
    const { group } = row;
    if (value[group] === undefined) continue;
    const read = readGroup(value[group], row);
    if (typeof read === "string") return bad(`${group}.${read}`);
    event[group] = read;
  }
  if (Object.keys(value).some((field) => !eventFields.has(field))) return bad("unknown field");
  const whole = event as unknown as AuditEvent; // every field of AuditEvent was checked above
  if (
    whole.patients.length > 1 &&
    new Set(whole.patients.map((item) => item.patient)).size !== whole.patients.length
  )
    return bad("patients: one is named twice");
  for (const [group, kind, isComplete] of groupsOfKinds) {
    const content = event[group] as Readonly<Record<string, unknown>> | undefined; // a group that was read above
    const isMissing = (field: string) => content?.[field] === undefined;
    if (
      whole.kind !== kind
        ? content !== undefined
        : isComplete && Object.keys(eventGroups[group]).some(isMissing)
    )
      return bad(group);
  }
  const { configuration } = whole;
  if (
    configuration !== undefined &&
    configuration.digest !== configurationDigest(configuration.worker, configuration.settings)
  )
    return bad("configuration");
  if (whole.withheld?.paths !== undefined && whole.withheld.pathsDigest !== undefined)
    return bad("withheld: paths and their digest");
  return ok(whole);
}

/** Only events of the kind have the group; `isComplete`: each of them, with all of its fields. */
const groupsOfKinds: readonly (readonly [
  EventGroup,
  EventKind | typeof definitionKind,
  isComplete?: true,
])[] = [
  ["configuration", "configuration", true],
  ["definition", definitionKind, true],
  ["measured", "measurement", true],
  ["document", "administration"],
  ["approval", "administration"],
  ["decision", "refusal"],
];

function readGroup(
  value: unknown,
  { fields, checks }: (typeof groupChecks)[number],
): Record<string, unknown> | string {
  if (!isPlainObject(value)) return "not an object";
  if (Object.keys(value).some((field) => !Object.hasOwn(fields, field))) return "unknown field";
  const group: Record<string, unknown> = {};
  for (const [field, [, check]] of checks) {
    if (value[field] === undefined) continue;
    if (!check(value[field])) return field;
    group[field] = value[field];
  }
  return group;
}

const bad = (field: string): Result<never, BadEvent> => err({ reason: "bad_event", field });
