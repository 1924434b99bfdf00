import { isPlainObject } from "#kernel/plain-object";
import { idForm } from "#fhir/r4/names";

/** Answers whether a value of a record is of its form. */
export type ValueCheck = (value: unknown) => boolean;

const TEXT_MAX = 16_384; // a whole URL: requests that are refused for their form are recorded too
const PATHS_MAX = 1000;
/** A chunk of a definition, its record and its padding fit the largest size class. */
export const chunkBytesMax = 61_440;

export const isRecordText: ValueCheck = (value) => typeof value === "string" && value.length <= TEXT_MAX;

export const textOfForm =
  (pattern: RegExp): ValueCheck =>
  (value) =>
    typeof value === "string" && pattern.test(value);

export const listOf =
  (check: ValueCheck, max: number): ValueCheck =>
  (value) =>
    Array.isArray(value) && value.length <= max && value.every(check);

/** Answers whether a value is a whole number from 0. */
export const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** A map of at most `max` counts. */
export const countsOf =
  (name: RegExp, max: number): ValueCheck =>
  (value) => {
    if (!isPlainObject(value)) return false;
    const keys = Object.keys(value);
    return keys.length <= max && keys.every((key) => name.test(key) && isCount(value[key]));
  };
/**
 * Answers whether a text has at most so many bytes. Most texts are so short that three bytes for each unit of
 * UTF-16, the most of UTF-8, are few enough.
 */
export const isShort = (value: string, bytesMax: number): boolean =>
  value.length * 3 <= bytesMax || Buffer.byteLength(value) <= bytesMax;

export const isDigest = textOfForm(/^[0-9a-f]{64}$/);
export const isHexId = textOfForm(/^[0-9a-f]{32}$/);
export const isPurpose = textOfForm(/^[A-Za-z0-9_-]{1,64}$/);

const patientReference = new RegExp(`^[A-Za-z0-9_-]{1,64}/Patient/${idForm}$`, "u");
/** Answers whether a value names a patient in the form of records: `<origin>/Patient/<id>`. */
export const isPatient = (value: unknown): value is string =>
  typeof value === "string" && patientReference.test(value);

/** Answers whether a value is a list of element paths, as a record or a definition has it. */
export const isPathList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.length <= PATHS_MAX && value.every(isRecordText);

/** The path of an element, with its type: `Patient.name.given`. */
export const elementPath = /^[A-Z][A-Za-z]{0,63}(?:\.[A-Za-z][A-Za-z0-9]{0,63}){1,12}$/u;

/** The most Consents that an append names for its accounting lines, and the most purposes of each. */
export const permitsMax = 1_000;
export const permitPurposesMax = 16;
