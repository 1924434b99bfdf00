import { textAt, type JsonObject } from "#fhir/json/json";
import { mentionOf, patientIn, plainTypeOf, type FhirBase } from "#fhir/r4/reference";
import { isFinalReference } from "#phi/shown-reference";
import { isSame } from "./words.ts";

/** A reference text whose patient is known. */
interface Known {
  readonly bytes: Uint8Array;
  readonly patient: string | undefined;
  /** The text means a patient and does not identify the patient. */
  readonly isMeant: boolean;
  readonly type: string | undefined;
}

// The rows of a page refer to a handful of patients.
const knownMax = 8;
const decoder = new TextDecoder();
const noBytes: Uint8Array = new Uint8Array();
/** 1 for each byte of a plain id. */
const isInId = new Uint8Array(256);
for (const sign of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")
  isInId[sign.charCodeAt(0)] = 1;

/** The patients that a resource names: the first `count` of the lists. */
export type Mentioned = Pick<Readonly<Mentions>, "count" | "room" | "unnamed"> & {
  readonly patients: readonly string[];
  readonly areSeen: readonly boolean[];
};

/**
 * The patients that the written elements of a resource name, in the order of the elements, as `Redaction` in
 * redact.ts finds them.
 */
export class Mentions {
  /** The first {@link count} belong to this resource: arrays that shrink and grow with each row take longer. */
  readonly patients: string[] = [];
  /** For each of the patients: a released element names it. */
  readonly areSeen: boolean[] = [];
  count = 0;
  unnamed = false;
  /** References whose hidden parts may name a patient. */
  room = 0;
  #isWhole = false;
  /** See `ShownTarget` in shown-reference.ts. */
  readonly #shown = { isText: false, isAlone: false };
  /** The type in the last plain text. A page has few types. */
  #plainType = noBytes;
  #bases: readonly FhirBase[] = [];
  #known: Known[] = [];
  #oldest = 0;

  /** For an answer of an origin. @param bases the bases below which a Patient is a patient of the origin. */
  begin(bases: readonly FhirBase[]): void {
    this.#bases = bases;
    this.#known = [];
    this.#oldest = 0;
    this.reset();
  }

  /** For a resource. */
  reset(): void {
    this.count = 0;
    this.unnamed = false;
    this.room = 0;
  }

  /** The patients of this resource, for later. */
  copy(): Mentioned {
    const { count, room, unnamed } = this;
    return {
      patients: this.patients.slice(0, count),
      areSeen: this.areSeen.slice(0, count),
      count,
      room,
      unnamed,
    };
  }

  /** A text that a reader may follow, between its quotes; its bytes are plain. */
  followPlain(bytes: Uint8Array, from: number, to: number): void {
    if (!mayNamePatient(bytes, from, to)) return;
    const { patient } = this.#read(bytes, from, to);
    if (patient !== undefined) this.add(patient, true);
  }

  follow(text: string): void {
    const patient = patientIn(text, this.#bases);
    if (patient !== undefined) this.add(patient, true);
  }

  /** The view of the next Reference. @param isWhole the view shows every part that identifies the target. */
  showing(isWhole: boolean, isText: boolean, isAlone: boolean): void {
    this.#isWhole = isWhole;
    this.#shown.isText = isText;
    this.#shown.isAlone = isAlone;
  }

  /**
   * A Reference of which any part leaves. Call {@link showing} before.
   *
   * @param from and `to`: its `reference` between the quotes, with plain bytes alone; `to` is 0 without a text.
   */
  mention(bytes: Uint8Array, from: number, to: number): void {
    if (to === 0 || !mayNamePatient(bytes, from, to)) {
      if (!this.#isWhole && !this.#isOtherAlone(bytes, from, to)) this.room += 1;
      return;
    }
    const { patient, isMeant, type } = this.#read(bytes, from, to);
    const { isText, isAlone } = this.#shown;
    const isIdentified =
      this.#isWhole || (isText && type !== undefined && (isAlone || patient !== undefined));
    if (!isIdentified) this.room += 1;
    if (patient !== undefined) this.add(patient, isIdentified);
    else if (isMeant) this.unnamed = true;
  }

  mentionRead(reference: JsonObject): void {
    const text = textAt(reference, "reference");
    const isText = !this.#isWhole && text !== undefined && isFinalReference(text, this.#shown);
    const isIdentified = this.#isWhole || isText;
    if (!isIdentified) this.room += 1;
    const mention = mentionOf(isText ? { reference: text } : reference, this.#bases);
    if (mention.kind === "patient") this.add(mention.id, isIdentified);
    if (mention.kind === "unidentified") this.unnamed = true;
  }

  /** A text `Type/id` without the word patient, and the only shown part of its reference. */
  #isOtherAlone(bytes: Uint8Array, from: number, to: number): boolean {
    const { isText, isAlone } = this.#shown;
    if (!isText || !isAlone || to === 0) return false;
    let at = from;
    while (at < to && bytes[at] !== 0x2f) at += 1;
    if (at === from || to - at < 2 || to - at > 65) return false;
    for (let sign = at + 1; sign < to; sign += 1) if (isInId[bytes[sign] ?? 0] === 0) return false;
    if (isSame(this.#plainType, bytes, from, at)) return true;
    if (plainTypeOf(`${decoder.decode(bytes.subarray(from, at))}/x`) === undefined) return false;
    this.#plainType = bytes.slice(from, at);
    return true;
  }

  add(patient: string, isSeen: boolean): void {
    this.patients[this.count] = patient;
    this.areSeen[this.count] = isSeen;
    this.count += 1;
  }

  #read(bytes: Uint8Array, from: number, to: number): Known {
    for (const known of this.#known) if (isSame(known.bytes, bytes, from, to)) return known;
    const own = bytes.slice(from, to);
    const reference = decoder.decode(own);
    const patient = patientIn(reference, this.#bases);
    const isMeant = patient === undefined && mentionOf({ reference }, this.#bases).kind === "unidentified";
    const known = { bytes: own, patient, isMeant, type: plainTypeOf(reference) };
    this.#known[this.#oldest] = known;
    this.#oldest = (this.#oldest + 1) % knownMax;
    return known;
  }
}

/**
 * True if a text of plain bytes contains `patient`, in any case. Without it `patientIn` finds none, because a
 * plain text has no `%`.
 */
export function mayNamePatient(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from + 6;
  while (at < to) {
    const last = bytes[at] ?? 0;
    const shift = shifts[last] ?? 7;
    if (shift === 0) {
      if (isPatient(bytes, at - 6)) return true;
      at += 4; // the other t
    } else at += shift;
  }
  return false;
}

const patientText = "patient";
/** How far the text moves on for a byte at its end (Horspool). */
const shifts = new Uint8Array(256).fill(7);
for (const [index, sign] of Array.from(patientText).entries())
  for (const spelling of [sign, sign.toUpperCase()]) shifts[spelling.charCodeAt(0)] = 6 - index;

function isPatient(bytes: Uint8Array, from: number): boolean {
  for (let at = 0; at < 7; at += 1)
    if (((bytes[from + at] ?? 0) | 0x20) !== patientText.charCodeAt(at)) return false;
  return true;
}
