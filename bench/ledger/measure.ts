import { halfYearOf } from "#ledger/log-name";
import { instant } from "#kernel/clock";
import { median } from "../median.ts";
import type { Running } from "../process/process.ts";
import { appendPeers, type Ask, type AskOutcome, type AppendPeer, served, type Served } from "./asks.ts";
import type { AppendName } from "./events.ts";
import type { LedgerStack } from "./stack.ts";

/** The speed of one peer for one kind of append from a number of concurrent callers. */
export interface AppendFigure {
  readonly append: AppendName;
  readonly peer: AppendPeer;
  readonly callers: number;
  readonly appendsPerSecond: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  /**
   * CPU time of the whole process. It includes the caller's part and the call itself, which `bare` shows
   * alone.
   */
  readonly cpuMicrosPerAppend: number;
  /** For the ledger: leaves in one commit. */
  readonly leavesPerFrame?: number;
}

/** A public part of the ledger, requested by 16 callers. */
export interface ServedFigure {
  readonly what: Served;
  readonly perSecond: number;
  readonly cpuMicrosEach: number;
}

export interface LedgerPace {
  readonly warmMilliseconds: number;
  readonly milliseconds: number;
}

/** The appends of one round of details: each kind, from each number of callers, to each peer. */
const everyAppend = {
  appends: ["read", "list", "refusal"],
  callers: [1, 16, 64, 256],
  peers: appendPeers,
} as const satisfies {
  readonly appends: readonly AppendName[];
  readonly callers: readonly number[];
  readonly peers: readonly AppendPeer[];
};
const serveCallers = 16;

/** The driver in the measured runtime, and the CPU time that the runtime has used. */
export interface Driver {
  readonly process: Running;
  readonly ledgerUrl: string;
  ask<T>(ask: Ask): Promise<T>;
  /** A log that no other part of the run uses. */
  log(shard: number): string;
  /** Hex digits that no event had before. */
  newRun(): string;
}

export function driverOf({ process, driverUrl, ledgerUrl }: LedgerStack): Driver {
  let runs = 0;
  return {
    process,
    ledgerUrl,
    async ask<T>(ask: Ask) {
      const response = await fetch(driverUrl, { method: "POST", body: JSON.stringify(ask) });
      if (!response.ok) throw new Error(`the ledger's driver: ${await response.text()}`);
      return (await response.json()) as T; // the driver's answer for that kind
    },
    log: (shard) => `s${shard}-${halfYearOf(instant(Date.now()))}`,
    newRun: () => (0x1000 + runs++).toString(16),
  };
}

/**
 * Measures every append of every peer in turn, so that other work of the machine affects all peers alike.
 * Each round has its own logs.
 */
export async function appendRound(driver: Driver, log: string, pace: LedgerPace): Promise<AppendFigure[]> {
  const figures: AppendFigure[] = [];
  for (const append of everyAppend.appends)
    for (const callers of everyAppend.callers)
      for (const peer of everyAppend.peers) {
        await appendFor(driver, { peer, append, log, callers }, pace.warmMilliseconds);
        figures.push(await measureAppend(driver, { peer, append, log, callers }, pace.milliseconds));
      }
  return figures;
}

type Asked = Pick<Extract<Ask, { kind: "append" }>, "peer" | "append" | "log" | "callers">;

/** Appends for some time. Throws when an answer is wrong. */
export async function appendFor(driver: Driver, asked: Asked, milliseconds: number): Promise<AskOutcome> {
  const run = driver.newRun();
  const outcome = await driver.ask<AskOutcome>({ kind: "append", ...asked, run, milliseconds });
  if (outcome.wrong > 0) throw new Error(`${asked.peer}: ${outcome.wrong} wrong answers to ${asked.append}`);
  return outcome;
}

export async function measureAppend(
  driver: Driver,
  asked: Asked,
  milliseconds: number,
): Promise<AppendFigure> {
  const [before, cpuBefore] = [await reach(driver, asked), driver.process.cpuMicros()];
  const outcome = await appendFor(driver, asked, milliseconds);
  const cpu = driver.process.cpuMicros() - cpuBefore;
  const after = await reach(driver, asked);
  if (after !== undefined && before !== undefined && after.size - before.size < outcome.answers)
    throw new Error(`${after.size - before.size} leaves for ${outcome.answers} answers`);
  const { peer, append, callers } = asked;
  return {
    append,
    peer,
    callers,
    appendsPerSecond: outcome.answers / outcome.seconds,
    p50Milliseconds: outcome.p50Milliseconds,
    p99Milliseconds: outcome.p99Milliseconds,
    cpuMicrosPerAppend: cpu / outcome.answers,
    ...(before && after && { leavesPerFrame: (after.size - before.size) / (after.frames - before.frames) }),
  };
}

interface LogReach {
  readonly size: number;
  readonly frames: number;
  readonly copied: number;
}

async function reach(
  driver: Driver,
  { peer, log }: { readonly peer: AppendPeer; readonly log: string },
): Promise<LogReach | undefined> {
  return peer === "ledger" ? driver.ask<LogReach>({ kind: "status", log }) : undefined;
}

/** Grows a log by appends of one kind to a minimum number of leaves. Returns its size. */
export async function fill(driver: Driver, log: string, append: AppendName, leaves: number): Promise<number> {
  for (let size = 0; ;) {
    if (size >= leaves) return size;
    await driver.ask({
      kind: "append",
      peer: "ledger",
      append,
      log,
      run: driver.newRun(),
      callers: 256,
      milliseconds: leaves - size > 5_000 ? 500 : 50,
    });
    ({ size } = await driver.ask<LogReach>({ kind: "status", log }));
  }
}

/**
 * The cost of a log after the answer to its appends: CPU microseconds until the whole log is copied to R2 and
 * all of its lines are in their stores.
 */
export async function settle(driver: Driver, log: string): Promise<number> {
  const before = driver.process.cpuMicros();
  for (;;) {
    const { lines } = await driver.ask<{ readonly lines: number }>({ kind: "settle", log });
    const { size, copied } = await driver.ask<LogReach>({ kind: "status", log });
    if (lines === 0 && copied === size) return driver.process.cpuMicros() - before;
  }
}

export async function serveRound(
  driver: Driver,
  log: string,
  size: number,
  pace: LedgerPace,
): Promise<ServedFigure[]> {
  const figures: ServedFigure[] = [];
  for (const what of served) {
    const asked = { kind: "serve", what, log, size, callers: serveCallers } as const;
    await driver.ask({ ...asked, milliseconds: pace.warmMilliseconds });
    const before = driver.process.cpuMicros();
    const { answers, wrong, seconds } = await driver.ask<AskOutcome>({
      ...asked,
      milliseconds: pace.milliseconds,
    });
    if (wrong > 0) throw new Error(`the ledger did not show ${wrong} of its ${what}`);
    figures.push({
      what,
      perSecond: answers / seconds,
      cpuMicrosEach: (driver.process.cpuMicros() - before) / answers,
    });
  }
  return figures;
}

/** The median of each number, over the figures with an equal key. */
export function mediansOf<T extends object>(figures: readonly T[], about: (figure: T) => string): T[] {
  return [...Map.groupBy(figures, about).values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const entries = Object.entries(first).map(([name, value]): [string, unknown] => [
      name,
      typeof value === "number" ? median(group.map((figure) => Number(Reflect.get(figure, name)))) : value,
    ]);
    return [Object.fromEntries(entries) as T]; // the result has the same members, with medians as numbers
  });
}
