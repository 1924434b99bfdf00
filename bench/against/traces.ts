import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Duration } from "../options.ts";
import { plans } from "../requests/plans.ts";
import { tracesFile } from "../serve.ts";
import type { Comparison } from "./compare.ts";
import { compareRequests } from "./requests.ts";
import { thisTree } from "./tree.ts";

/** The part of the requests that is traced: ten times the example of docs/traces.md. */
const tracedShare = 0.1;

/**
 * Compares this tree with everything on that can be switched off, which is its traces, with itself without (old,
 * twice). The numbers of isolates and of the ledger are on in all three: no setting ends them.
 */
export async function runTracesGroup(
  folder: string,
  duration: Duration,
  rounds: number,
): Promise<readonly Comparison[]> {
  const place = join(folder, "traces");
  mkdirSync(place);
  const versions = [
    { name: "old", tree: thisTree },
    { name: "again", tree: thisTree },
    { name: "new", tree: thisTree, traced: tracedShare },
  ] as const;
  const headlines = plans.filter(({ weight }) => weight === "headline");
  const comparisons = await compareRequests(place, versions, duration, rounds, headlines);
  const traces = readFileSync(join(place, "phylax-new", tracesFile), "utf8").split("\n").length - 1;
  if (traces === 0) throw new Error("the collector got no trace");
  console.error(`collector good: ${traces} traces`);
  return comparisons;
}
