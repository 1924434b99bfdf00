import { isPlainObject } from "#kernel/plain-object";
import { searchTextBytesMax } from "#fhir/search/query";
import { stateBytesMax } from "#residence/residence";
import { err, ok, type Result } from "#kernel/result";
import { configurationDigest } from "./configuration.ts";
import { type AuditEvent, definitionKind, type EventKind, type Measured } from "./event.ts";
import {
  type ValueCheck,
  chunkBytesMax,
  elementPath,
  isPathList,
  isPatient,
  isRecordText,
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
const PARAMETERS_MAX = 10_000;
const ITEMS_MAX = 100_000;
const ASKED_MAX = 1000; // a question names a hundred at most
const TYPES_MAX = 200; // R4 has 148 resource types
const SETTINGS_MAX = 500;
const SETTINGS_BYTES_MAX = 49_152; // a record holds 65,468
const TALLY_MAX = 400; // the doors refuse for fewer reasons than 300
const MEASURED_MAX = 10_000; // a record has no room for more
const reasonName = /^[a-z][a-z0-9_]{0,63}$/;

const count: ValueCheck = (value) => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** A map of at most `max` counts. */
const countsOf =
  (name: RegExp, max: number): ValueCheck =>
  (value) => {
    if (!isPlainObject(value)) return false;
    const keys = Object.keys(value);
    return keys.length <= max && keys.every((key) => name.test(key) && count(value[key]));
  };
const typeCounts = countsOf(/^[A-Za-z]{1,64}$/, TYPES_MAX);
const state: ValueCheck = (value) =>
  typeof value === "string" && value !== "" && isShort(value, stateBytesMax);
/** Most texts are so short that three bytes for each unit of UTF-16, the most of UTF-8, are few enough. */
const isShort = (value: string, bytesMax: number): boolean =>
  value.length * 3 <= bytesMax || Buffer.byteLength(value) <= bytesMax;
const patientFields: ReadonlySet<string> = new Set(["patient", "counts", "state"]);
const patient: ValueCheck = (value) =>
  isPlainObject(value) &&
  Object.keys(value).every((field) => patientFields.has(field)) &&
  isPatient(value["patient"]) &&
  typeCounts(value["counts"]) &&
  (value["state"] === undefined || state(value["state"]));
const parameter: ValueCheck = (value) =>
  Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === "string");
const pairs = (max: number, bytesMax: number): ValueCheck => {
  const isList = listOf(parameter, max);
  return (value) =>
    // pairs of strings, as checked before
    isList(value) && isShort((value as string[][]).flat().join(""), bytesMax);
};

const hexDigest = textOfForm(/^[0-9a-f]{64}$/);
const isChunk: ValueCheck = (value) =>
  value instanceof Uint8Array && value.length > 0 && value.length <= chunkBytesMax;

const groups: Readonly<Record<string, Readonly<Record<string, ValueCheck>>>> = {
  who: {
    client: isRecordText,
    certificate: isRecordText,
    issuer: isRecordText,
    tokenId: isRecordText,
    keyId: isRecordText,
    subject: isRecordText,
    user: isRecordText,
    patient: isRecordText,
    operator: isRecordText,
    jkt: isRecordText,
    unbound: (value) => value === true,
    signedBy: isRecordText,
  },
  from: { address: isRecordText, country: isRecordText },
  what: {
    interaction: isRecordText,
    origin: isRecordText,
    type: isRecordText,
    id: isRecordText,
    parameters: pairs(PARAMETERS_MAX, searchTextBytesMax),
    method: isRecordText,
    path: isRecordText,
  },
  why: {
    purposes: listOf(textOfForm(/^[A-Za-z0-9_-]{1,64}$/), 16),
    agreement: isRecordText,
    policy: isRecordText,
    grant: isRecordText,
  },
  outcome: { status: count, reason: isRecordText },
  withheld: { paths: isPathList, pathsDigest: hexDigest, resources: count },
  window: { number: count, complete: (value) => typeof value === "boolean" },
  configuration: {
    worker: textOfForm(/^[a-z]{1,32}$/),
    digest: hexDigest,
    settings: pairs(SETTINGS_MAX, SETTINGS_BYTES_MAX),
  },
  definition: { contentDigest: hexDigest, chunk: isChunk },
  decision: {
    by: textOfForm(/^[a-z]{1,16}$/),
    consentDigest: hexDigest,
    place: isRecordText,
  },
  emergency: {
    justification: isRecordText,
    review: textOfForm(/^[0-9a-f]{32}$/),
    personnel: isRecordText,
    facility: isRecordText,
  },
  // The text is in a definition.
  document: {
    text: () => false,
    textDigest: hexDigest,
    part: count,
    parts: count,
    role: textOfForm(/^(?:submitted|effect)$/),
  },
  measured: {
    day: count,
    answers: count,
    elements: countsOf(elementPath, MEASURED_MAX),
    part: count,
    parts: count,
    fill: (value) => typeof value === "string" && value.length <= chunkBytesMax,
  },
  approval: {
    proposal: textOfForm(/^[0-9a-f]{32}$/),
    proposedBy: isRecordText,
    proposerIssuer: isRecordText,
    proposerSubject: isRecordText,
  },
};
const required: Readonly<Record<string, ValueCheck>> = {
  id: textOfForm(/^[0-9a-f]{32}$/),
  at: count,
  kind: textOfForm(/^[a-z][a-z0-9-]{0,31}$/),
  patients: listOf(patient, ITEMS_MAX),
  unnamed: listOf(isRecordText, ITEMS_MAX),
  counts: typeCounts,
};
const tally = countsOf(reasonName, TALLY_MAX);
const reserve: ValueCheck = (value) =>
  isPlainObject(value) &&
  Object.keys(value).every((field) => ["names", "unseen", "counts", "unnamed"].includes(field)) &&
  count(value["names"]) &&
  (value["names"] as number) <= ITEMS_MAX && // a count, as checked before
  listOf(isPatient, ITEMS_MAX)(value["unseen"]) &&
  typeCounts(value["counts"]) &&
  listOf(isRecordText, ITEMS_MAX)(value["unnamed"]);
const permitFields: Readonly<Record<string, ValueCheck>> = {
  patient: isPatient,
  consent: textOfForm(/^[A-Za-z0-9_-]{43}$/),
  digest: hexDigest,
  given: (value) => value === undefined || textOfForm(/^[0-9TZ:.-]{4,24}$/)(value),
  filedAt: count,
  purposes: listOf(textOfForm(/^[A-Za-z0-9_-]{1,64}$/), permitPurposesMax),
};
const permit: ValueCheck = (value) =>
  isPlainObject(value) &&
  Object.keys(value).every((field) => Object.hasOwn(permitFields, field)) &&
  Object.entries(permitFields).every(([field, check]) => check(value[field]));
/** The Consents of good form, up to the limit: what stands beside its lines never refuses an event. */
const permitsIn = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value.filter(permit).slice(0, permitsMax) : [];
const optional: Readonly<Record<string, ValueCheck>> = {
  step: count,
  traceId: isRecordText,
  tally,
  asked: listOf(isPatient, ASKED_MAX),
  consents: hexDigest,
  reserve,
  unjudged: count,
};

// The tables as lists, made once: each append reads its events.
const requiredChecks = Object.entries(required);
const optionalChecks = Object.entries(optional);
const groupChecks = Object.entries(groups).map(([group, checks]) => ({
  group,
  checks: Object.entries(checks),
  fields: new Set(Object.keys(checks)),
}));
const permitsField = "permits" satisfies keyof AuditEvent;
const eventFields = new Set([
  ...[required, optional, groups].flatMap((table) => Object.keys(table)),
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
  for (const { group, checks, fields } of groupChecks) {
    if (value[group] === undefined) continue;
    const read = readGroup(value[group], checks, fields);
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
  if (!isOfItsKind(whole)) return bad("configuration");
  if (!isDefinition(whole)) return bad("definition");
  if (whole.document !== undefined && whole.kind !== "administration") return bad("document");
  if (whole.decision !== undefined && whole.kind !== "refusal") return bad("decision");
  if (whole.approval !== undefined && whole.kind !== "administration") return bad("approval");
  if (!isMeasurement(whole)) return bad("measured");
  if (whole.withheld?.paths !== undefined && whole.withheld.pathsDigest !== undefined)
    return bad("withheld: paths and their digest");
  return ok(whole);
}

/** A configuration is complete, under its own digest, and only in an event of its own kind. */
function isOfItsKind({ kind, configuration }: AuditEvent): boolean {
  if (configuration === undefined || kind !== "configuration")
    return configuration === undefined && kind !== "configuration";
  // each field of a group may be absent
  const { worker, digest, settings }: Partial<typeof configuration> = configuration;
  return worker !== undefined && settings !== undefined && digest === configurationDigest(worker, settings);
}

/** A measurement has all of its members, and no other kind has one. */
const isMeasurement = ({ kind, measured }: AuditEvent): boolean =>
  (kind === ("measurement" satisfies EventKind)) === (measured !== undefined) &&
  (measured === undefined ||
    Object.values({ ...nothingMeasured, ...measured }).every((each) => each !== undefined));
const nothingMeasured: Record<keyof Measured, undefined> = {
  day: undefined,
  answers: undefined,
  elements: undefined,
  part: undefined,
  parts: undefined,
  fill: undefined,
};

/** A definition is complete, and only in a record of its own kind. */
function isDefinition({ kind, definition }: AuditEvent): boolean {
  const isPresent = definition?.contentDigest !== undefined && definition.chunk !== undefined;
  return kind === definitionKind ? isPresent : definition === undefined;
}

function readGroup(
  value: unknown,
  checks: readonly (readonly [field: string, check: ValueCheck])[],
  fields: ReadonlySet<string>,
): Record<string, unknown> | string {
  if (!isPlainObject(value)) return "not an object";
  if (Object.keys(value).some((field) => !fields.has(field))) return "unknown field";
  const group: Record<string, unknown> = {};
  for (const [field, check] of checks) {
    if (value[field] === undefined) continue;
    if (!check(value[field])) return field;
    group[field] = value[field];
  }
  return group;
}

const bad = (field: string): Result<never, BadEvent> => err({ reason: "bad_event", field });
