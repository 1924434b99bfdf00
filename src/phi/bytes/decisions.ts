import type { Facts } from "#fhir/json/facts";
import type { SearchParameter } from "#fhir/search/search";
import type { ByteCutter } from "./cutter.ts";
import type { Plan } from "./plan.ts";
import { isSameWords, wordsOf } from "./words.ts";

/** The decision about the rows with the same facts. */
export interface RowDecision {
  /** `undefined`: hidden. */
  readonly plan: Plan | undefined;
  readonly patients: ReadonlySet<string>;
  /** None, if the references that leave name all of the patients. */
  readonly unseen: ReadonlySet<string>;
  readonly unnamed: boolean;
  readonly room: number;
  readonly mustShow: readonly SearchParameter[];
  readonly facts: Facts;
}

/** A fact that decides, by its index in the plan. */
export interface DecidingFact {
  readonly index: number;
  /** Any object in place of an object decides alike, see `FactLists.presencePaths`. */
  readonly isByPresence: boolean;
}

/** In place of a fact's length. */
const [absent, someObject] = [-1, -2];

/** A decision, with the facts that led to it: their lengths and their bytes. */
interface Remembered {
  readonly lengths: Int32Array;
  /** With some zeros behind them. */
  readonly bytes: DataView;
  readonly decision: RowDecision;
}

// Further facts are judged anew each time.
const rememberedMax = 64;

/** The decisions of one answer, by the bytes of the facts that decide. */
export class Decisions {
  readonly #deciding: readonly DecidingFact[];
  readonly #remembered: Remembered[] = [];

  constructor(deciding: readonly DecidingFact[]) {
    this.#deciding = deciding;
  }

  /** The decision about the same facts as those of the resource that was cut last. */
  ofSameFacts(cutter: ByteCutter): RowDecision | undefined {
    const remembered = this.#remembered;
    for (let index = 0; index < remembered.length; index += 1) {
      const each = remembered[index];
      if (each === undefined || !this.#isOfSameFacts(each, cutter)) continue;
      if (index > 0) {
        remembered.splice(index, 1);
        remembered.unshift(each);
      }
      return each.decision;
    }
    return undefined;
  }

  remember(cutter: ByteCutter, decision: RowDecision): RowDecision {
    if (this.#remembered.length >= rememberedMax) return decision;
    const deciding = this.#deciding;
    const lengths = new Int32Array(deciding.length);
    let sum = 0;
    for (let each = 0; each < deciding.length; each += 1) {
      const length = lengthOf(deciding[each], cutter);
      lengths[each] = length;
      if (length > 0) sum += length;
    }
    const bytes = new Uint8Array(sum + wordBytes);
    let at = 0;
    for (let each = 0; each < deciding.length; each += 1) {
      const start = cutter.factStart[deciding[each]?.index ?? 0] ?? 0;
      const end = start + (lengths[each] ?? absent);
      for (let from = start; from < end; from += 1) bytes[at++] = cutter.scanner.bytes[from] ?? 0;
    }
    this.#remembered.unshift({ lengths, bytes: wordsOf(bytes), decision });
    return decision;
  }

  #isOfSameFacts({ lengths, bytes: own }: Remembered, cutter: ByteCutter): boolean {
    const deciding = this.#deciding;
    for (let each = 0; each < lengths.length; each += 1)
      if (lengthOf(deciding[each], cutter) !== lengths[each]) return false;
    const { words } = cutter.scanner;
    let at = 0;
    for (let each = 0; each < lengths.length; each += 1) {
      const length = lengths[each] ?? absent;
      if (length < 0) continue;
      const start = cutter.factStart[deciding[each]?.index ?? 0] ?? 0;
      if (!isSameText(own, at, words, start, length)) return false;
      at += length;
    }
    return true;
  }
}

const wordBytes = 4;

/** As `isSameWords`, for a text of any length. */
function isSameText(one: DataView, from: number, other: DataView, at: number, length: number): boolean {
  if (length >= wordBytes) return isSameWords(one, from, other, at, length);
  for (let each = 0; each < length; each += 1)
    if (one.getUint8(from + each) !== other.getUint8(at + each)) return false;
  return true;
}

function lengthOf(fact: DecidingFact | undefined, { factStart, factEnd, scanner }: ByteCutter): number {
  const index = fact?.index ?? 0;
  const end = factEnd[index] ?? 0;
  if (end === 0) return absent;
  const start = factStart[index] ?? 0;
  return fact?.isByPresence === true && scanner.bytes[start] === 0x7b ? someObject : end - start;
}
