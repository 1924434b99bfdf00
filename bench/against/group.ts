import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { BenchOptions } from "../options.ts";
import { endAll } from "../process/process.ts";
import type { Against } from "../report.ts";
import { compareLedger, compareRedact } from "./engine-and-ledger.ts";
import { compareRequests } from "./requests.ts";
import { checkOut, commitOf, thisTree } from "./tree.ts";
import type { Version } from "./version.ts";

/** Compares this tree with a commit, one group after another, each with its processes in turn. */
export async function runAgainst(
  folder: string,
  name: string,
  { duration, rounds, groups }: BenchOptions,
): Promise<Against> {
  const commit = commitOf(name);
  console.error(`checking out ${commit} …`);
  const old = checkOut(commit, join(folder, "old"));
  const trees: readonly Version[] = [
    { name: "old", tree: old },
    { name: "again", tree: old },
    { name: "new", tree: thisTree },
  ];
  const compared = { requests: compareRequests, redact: compareRedact, ledger: compareLedger } as const;
  const comparisons = [];
  for (const group of ["requests", "redact", "ledger"] as const) {
    if (!groups.includes(group)) continue;
    const place = join(folder, group);
    mkdirSync(place);
    comparisons.push(...(await compared[group](place, trees, duration, rounds)));
    await endAll();
  }
  return { commit, comparisons };
}
