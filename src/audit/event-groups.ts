import { searchTextBytesMax } from "#fhir/search/query";
import type { AuditEvent } from "./event.ts";
import {
  type ValueCheck,
  chunkBytesMax,
  countsOf,
  elementPath,
  isCount,
  isDigest,
  isHexId,
  isPathList,
  isPurpose,
  isRecordText,
  isShort,
  listOf,
  textOfForm,
} from "./values.ts";

// Far above the needs of a real request: these bounds limit the data that a faulty caller can make the ledger
// store.
const PARAMETERS_MAX = 10_000;
const SETTINGS_MAX = 500;
const SETTINGS_BYTES_MAX = 49_152; // a record holds 65,468
const MEASURED_MAX = 10_000; // a record has no room for more

const isPair: ValueCheck = (value) =>
  Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === "string");
const pairs = (max: number, bytesMax: number): ValueCheck => {
  const isList = listOf(isPair, max);
  // pairs of strings, as checked before
  return (value) => isList(value) && isShort((value as string[][]).flat().join(""), bytesMax);
};

const isChunk: ValueCheck = (value) =>
  value instanceof Uint8Array && value.length > 0 && value.length <= chunkBytesMax;
const isFill: ValueCheck = (value) => typeof value === "string" && value.length <= chunkBytesMax;

type GroupName = Exclude<
  keyof AuditEvent,
  | ("id" | "step" | "at" | "kind" | "patients" | "unnamed" | "counts" | "traceId" | "tally" | "asked")
  | ("reserve" | "consents" | "permits" | "unjudged" | "authority")
>;
/** A field of a group. */
export type GroupField = readonly [key: number, check: ValueCheck];

/**
 * The groups of an event, by field: its key in the plaintext of a record (docs/ledger-format.md), and the form of
 * its value. The fields stand in the order of their keys. A key never gets a second meaning; new fields get new keys.
 */
export const eventGroups = {
  who: {
    client: [1, isRecordText],
    certificate: [2, isRecordText],
    issuer: [3, isRecordText],
    tokenId: [4, isRecordText],
    keyId: [5, isRecordText],
    subject: [6, isRecordText],
    user: [7, isRecordText],
    patient: [8, isRecordText],
    operator: [9, isRecordText],
    jkt: [10, isRecordText],
    unbound: [11, (value) => value === true],
    signedBy: [12, isRecordText],
  },
  from: { address: [1, isRecordText], country: [2, isRecordText] },
  what: {
    interaction: [1, isRecordText],
    origin: [2, isRecordText],
    type: [3, isRecordText],
    id: [4, isRecordText],
    parameters: [5, pairs(PARAMETERS_MAX, searchTextBytesMax)],
    method: [6, isRecordText],
    path: [7, isRecordText],
  },
  why: {
    purposes: [1, listOf(isPurpose, 16)],
    agreement: [2, isRecordText],
    policy: [3, isRecordText],
    grant: [4, isRecordText],
  },
  outcome: { status: [1, isCount], reason: [2, isRecordText] },
  withheld: { paths: [1, isPathList], resources: [2, isCount], pathsDigest: [3, isDigest] },
  window: {
    number: [1, isCount],
    complete: [2, (value) => typeof value === "boolean"],
    bytes: [3, isCount],
    contentDigest: [4, isDigest],
  },
  configuration: {
    worker: [1, textOfForm(/^[a-z]{1,32}$/)],
    digest: [2, isDigest],
    settings: [3, pairs(SETTINGS_MAX, SETTINGS_BYTES_MAX)],
  },
  definition: { contentDigest: [1, isDigest], chunk: [2, isChunk] },
  emergency: {
    justification: [1, isRecordText],
    review: [2, isHexId],
    personnel: [3, isRecordText],
    facility: [4, isRecordText],
  },
  document: {
    text: [1, () => false], // the text is in a definition
    textDigest: [2, isDigest],
    part: [3, isCount],
    parts: [4, isCount],
    role: [5, textOfForm(/^(?:submitted|effect)$/)],
  },
  decision: { by: [1, textOfForm(/^[a-z]{1,16}$/)], consentDigest: [2, isDigest], place: [3, isRecordText] },
  approval: {
    proposal: [1, isHexId],
    proposedBy: [2, isRecordText],
    proposerIssuer: [3, isRecordText],
    proposerSubject: [4, isRecordText],
  },
  form: { kind: [1, isRecordText], dataSet: [2, isRecordText], method: [3, isRecordText] },
  measured: {
    day: [1, isCount],
    answers: [2, isCount],
    elements: [3, countsOf(elementPath, MEASURED_MAX)],
    part: [4, isCount],
    parts: [5, isCount],
    fill: [6, isFill],
  },
} as const satisfies {
  readonly [G in GroupName]-?: Readonly<Record<keyof NonNullable<AuditEvent[G]>, GroupField>>;
};

export type EventGroup = keyof typeof eventGroups;
export const groupNames = Object.keys(eventGroups) as EventGroup[]; // the keys of the table above
