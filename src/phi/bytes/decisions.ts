import type { Facts } from "#fhir/json/facts";
import type { SearchParameter } from "#fhir/search/search";
import type { ByteCutter } from "./cutter.ts";
import type { Plan } from "./plan.ts";

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

/** A decision, with the facts that led to it: their lengths, -1 for an absent fact, and their bytes. */
interface Remembered {
  readonly lengths: Int32Array;
  readonly bytes: Uint8Array;
  readonly decision: RowDecision;
}

// Further facts are judged anew each time.
const rememberedMax = 64;

/** The decisions of one answer, by the bytes of the facts that decide. */
export class Decisions {
  /** Indices of the facts that decide. */
  readonly #deciding: readonly number[];
  readonly #remembered: Remembered[] = [];

  constructor(deciding: readonly number[]) {
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
    const { factStart, factEnd, scanner } = cutter;
    const deciding = this.#deciding;
    const lengths = new Int32Array(deciding.length);
    let sum = 0;
    for (let index = 0; index < deciding.length; index += 1) {
      const fact = deciding[index] ?? 0;
      const end = factEnd[fact] ?? 0;
      const length = end === 0 ? -1 : end - (factStart[fact] ?? 0);
      lengths[index] = length;
      if (length > 0) sum += length;
    }
    const bytes = new Uint8Array(sum);
    let at = 0;
    for (let index = 0; index < deciding.length; index += 1) {
      const start = factStart[deciding[index] ?? 0] ?? 0;
      const end = start + (lengths[index] ?? -1);
      for (let each = start; each < end; each += 1) bytes[at++] = scanner.bytes[each] ?? 0;
    }
    this.#remembered.unshift({ lengths, bytes, decision });
    return decision;
  }

  #isOfSameFacts({ lengths, bytes: own }: Remembered, { factStart, factEnd, scanner }: ByteCutter): boolean {
    const deciding = this.#deciding;
    for (let index = 0; index < lengths.length; index += 1) {
      const fact = deciding[index] ?? 0;
      const end = factEnd[fact] ?? 0;
      if ((end === 0 ? -1 : end - (factStart[fact] ?? 0)) !== lengths[index]) return false;
    }
    const { bytes } = scanner;
    let at = 0;
    for (let index = 0; index < lengths.length; index += 1) {
      const fact = deciding[index] ?? 0;
      const end = factEnd[fact] ?? 0;
      if (end === 0) continue;
      for (let each = factStart[fact] ?? 0; each < end; each += 1)
        if (bytes[each] !== own[at++]) return false;
    }
    return true;
  }
}
