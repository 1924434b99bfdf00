import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Duration } from "../options.ts";
import { inTurns, pairsOf, type RoundsOf } from "../rounds.ts";
import { appendFor, driverOf, measureAppend, type AppendFigure, type Driver } from "./measure.ts";
import { serveLedger } from "./stack.ts";

interface Pace {
  readonly warmMilliseconds: number;
  readonly sliceMilliseconds: number;
  /** Slices of each peer in a round of the benchmark. */
  readonly turns: number;
}
const paces: Readonly<Record<Duration, Pace>> = {
  full: { warmMilliseconds: 1_000, sliceMilliseconds: 250, turns: 5 },
  quick: { warmMilliseconds: 500, sliceMilliseconds: 200, turns: 3 },
  short: { warmMilliseconds: 30, sliceMilliseconds: 100, turns: 1 },
};

const peers = ["ledger", "row", "bare"] as const;
const works = ([1, 256] as const).flatMap((callers) => peers.map((peer) => `${peer} @${callers}` as const));
type Work = (typeof works)[number];

const rate = ({ appendsPerSecond }: AppendFigure) => appendsPerSecond;
const tail = ({ p99Milliseconds }: AppendFigure) => p99Milliseconds;
const cpu = ({ cpuMicrosPerAppend }: AppendFigure) => cpuMicrosPerAppend;
const rows = [
  { id: "append-1", of: rate, works: ["ledger @1", "row @1"] },
  { id: "append-256", of: rate, works: ["ledger @256", "row @256"] },
  { id: "append-tail-256", of: tail, works: ["ledger @256", "row @256"] },
  { id: "append-cpu-vs-call", of: cpu, works: ["ledger @256", "bare @256"] },
  { id: "append-1-cpu-vs-call", of: cpu, works: ["ledger @1", "bare @1"] },
] as const satisfies readonly {
  readonly id: RoundsOf["id"];
  readonly of: (figure: AppendFigure) => number;
  readonly works: readonly [Work, Work];
}[];

/**
 * A read's append of each ledger beside a plain row for the same event and beside a call that stores nothing, in
 * short slices. The slices of a ledger go on with one log.
 */
export async function appendRounds(
  drivers: readonly Driver[],
  duration: Duration,
  rounds: number,
): Promise<readonly (readonly RoundsOf[])[]> {
  const { warmMilliseconds, sliceMilliseconds, turns } = paces[duration];
  const asked = (driver: Driver, work: Work) => {
    const [peer, callers] = work.split(" @") as [(typeof peers)[number], string]; // the parts of its name
    return { append: "read", peer, log: driver.log(0), callers: Number(callers) } as const;
  };
  for (const work of works)
    for (const driver of drivers) await appendFor(driver, asked(driver, work), warmMilliseconds);
  const found = await inTurns(rounds * turns, drivers, works, (driver, work) =>
    measureAppend(driver, asked(driver, work), sliceMilliseconds),
  );
  return found.map((turnsOfLedger) =>
    rows.map(({ id, of, works }) => ({ id, pairs: pairsOf(turnsOfLedger, works, of) })),
  );
}

/**
 * The turns of each figure of appends, for the ledger of each source tree: each tree's own `bench/ledger` Workers in
 * a workerd of their own, slice by slice in turn.
 */
export async function ledgerRounds(
  folder: string,
  duration: Duration,
  rounds: number,
  roots: readonly string[],
): Promise<readonly (readonly RoundsOf[])[]> {
  const place = join(folder, "ledgers");
  mkdirSync(place);
  const stacks = [];
  for (const [n, root] of roots.entries()) stacks.push(await serveLedger(join(place, String(n)), root));
  const found = await appendRounds(stacks.map(driverOf), duration, rounds);
  for (const { process } of stacks) await process.close();
  return found;
}
