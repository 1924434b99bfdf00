import { originUrls, type Bases } from "#phi/origin-urls";
import { byteClassesOf } from "./byte-classes.ts";
import { ByteCutter, type CutContext } from "./cutter.ts";

export type { CutContext };

/** The cutter of the isolate. It is used between two awaits only, by one answer at a time. */
export const cutter = new ByteCutter();

/** Proof that the cutter has a text loaded: another object with each text. */
let lastLoad: object = {};

/** Loads a text. @param hasRows see `ByteCutter.load`. @returns the proof, see {@link isLoaded}. */
export function loadText(context: CutContext, text: Uint8Array, hasRows: boolean): object {
  cutter.begin(context);
  cutter.load(text, hasRows);
  lastLoad = {};
  return lastLoad;
}

export const isLoaded = (proof: object | undefined): boolean => proof === lastLoad;

/** The parts of a resource that decide and are not captured: a resource with one is not cut here. */
export interface Refused {
  /** Codes of the value sets decide. */
  readonly readsCodes: boolean;
  /** Contained resources decide. */
  readonly judgesNested: boolean;
}

let last: CutContext | undefined;

/** The rules for the texts of one answer, the same object for each of its cutters. */
export function contextOf(bases: Bases, { readsCodes, judgesNested }: Refused): CutContext {
  if (last?.bases !== bases || last.looksForCodes !== readsCodes || last.refusesContained !== judgesNested)
    last = {
      bases,
      classes: byteClassesOf(bases),
      urls: originUrls(bases),
      looksForCodes: readsCodes,
      refusesContained: judgesNested,
    };
  return last;
}
