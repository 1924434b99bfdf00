import { originUrls, type Bases } from "#phi/origin-urls";
import type { Sought } from "#fhir/json/facts";
import { byteClassesOf } from "./byte-classes.ts";
import { ByteCutter, type CutContext } from "./cutter.ts";
import { soughtTableOf } from "./sought-table.ts";

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

/** The parts of a resource that decide and are not facts. */
export interface Deciding {
  /** A resource that has any of it is judged whole. Undefined: nothing. */
  readonly sought: Sought | undefined;
  /** Contained resources decide: a resource with one is not cut here. */
  readonly judgesNested: boolean;
}

let last: (CutContext & Pick<Deciding, "sought">) | undefined;

/** The rules for the texts of one answer, the same object for each of its cutters. */
export function contextOf(bases: Bases, { sought, judgesNested }: Deciding): CutContext {
  if (last?.bases !== bases || last.sought !== sought || last.refusesContained !== judgesNested)
    last = {
      bases,
      classes: byteClassesOf(bases),
      urls: originUrls(bases),
      sought,
      table: sought && soughtTableOf(sought),
      refusesContained: judgesNested,
    };
  return last;
}
