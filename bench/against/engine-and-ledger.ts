import { ledgerRounds } from "../ledger/appends.ts";
import type { MeasureId } from "../measures.ts";
import type { Duration } from "../options.ts";
import { redactRows } from "../redact/cases.ts";
import { redactRounds } from "../redact/group.ts";
import type { RoundsOf } from "../rounds.ts";
import { compare, type Comparison } from "./compare.ts";
import type { Version } from "./version.ts";

/** The CPU of a run of the engine, for each row of the group: each tree's own Worker cuts this tree's subjects. */
export async function compareRedact(
  folder: string,
  versions: readonly Version[],
  duration: Duration,
  rounds: number,
): Promise<readonly Comparison[]> {
  const speeds = new Set<MeasureId>(redactRows.filter(({ by }) => by === "speed").map(({ id }) => id));
  const found = await redactRounds(folder, duration, rounds, rootsOf(versions), redactRows);
  return comparisonsOf(found, (id, a) => (speeds.has(id) ? 1_000_000 / a : a));
}

const appendRows: ReadonlySet<MeasureId> = new Set(["append-cpu-vs-call", "append-1-cpu-vs-call"]);

/** The CPU of an append, by the number of callers. */
export async function compareLedger(
  folder: string,
  versions: readonly Version[],
  duration: Duration,
  rounds: number,
): Promise<readonly Comparison[]> {
  const found = await ledgerRounds(folder, duration, rounds, rootsOf(versions));
  const byCpu = found.map((rows) => rows.filter(({ id }) => appendRows.has(id)));
  return comparisonsOf(byCpu, (_id, a) => a);
}

const rootsOf = (versions: readonly Version[]) => versions.map(({ tree }) => tree.path);

/** @param found the rows of each version, in the order of `versions`: old, again, new. */
function comparisonsOf(
  [old = [], again = [], fresh = []]: readonly (readonly RoundsOf[])[],
  costOf: (id: MeasureId, a: number) => number,
): readonly Comparison[] {
  return old.map(({ id, pairs }, row) => {
    const cost = (rows: readonly RoundsOf[], turn: number) => costOf(id, rows[row]?.pairs[turn]?.a ?? 0);
    return compare(
      id,
      "µs",
      pairs.map((_, turn) => ({ old: cost(old, turn), again: cost(again, turn), new: cost(fresh, turn) })),
    );
  });
}
