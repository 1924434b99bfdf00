import { relative } from "node:path";
import type { TourDev } from "./tour-stack.ts";

/** The facts that every tour begins with. */
export interface TourFacts {
  readonly dev: TourDev;
  readonly devFile: string;
  /** The folder for the tour's files; deleted at its end. */
  readonly folder: string;
  readonly patient: string;
}

/** `Seen`: the facts, with results of earlier steps. */
export interface Step<Seen extends TourFacts> {
  readonly title: string;
  /** Runs the step, checks it, and returns the lines to print. Throws with the fact that was wrong. */
  readonly show: (seen: Seen) => Promise<readonly string[]>;
}

export interface Resource {
  readonly [element: string]: unknown;
}

export function must(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}

/** The path from the folder of `npm run tour`, so that a printed command runs there. */
export const here = (path: string): string => relative(process.env["INIT_CWD"] ?? process.cwd(), path);

/** A row as the FHIR server has it, asked without the gateway. */
export async function heldRow({ dev }: TourFacts, path: string): Promise<Resource> {
  const row: Resource = JSON.parse(await (await fetch(`${dev.origin}/${path}`)).text());
  return row;
}
