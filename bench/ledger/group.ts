import { join } from "node:path";
import { verifierKey } from "#ledger/tlog/signed-note";
import { ratioOf, valueOf, type Measure } from "../measures.ts";
import type { Duration } from "../options.ts";
import type { Counted, ShelfCounted } from "./asks.ts";
import { benchLedgerName } from "./environment.ts";
import {
  appendRound,
  driverOf,
  everyAppend,
  fill,
  fullLedgerPace,
  mediansOf,
  plainAppends,
  serveRound,
  settle,
  shortLedgerPace,
  type AppendFigure,
  type Driver,
  type LedgerPace,
  type ServedFigure,
} from "./measure.ts";
import { measureSizes, type Sizes } from "./sizes.ts";
import { serveLedger } from "./stack.ts";
import { measureVerification, type LogKey, type Verification } from "./verification.ts";
import { verifyBesideHashing } from "./verify-beside-hashing.ts";

/** All details of the ledger group. */
export interface LedgerReport {
  /** Medians over the rounds. */
  readonly appends: readonly AppendFigure[];
  readonly served: readonly ServedFigure[];
  /**
   * CPU microseconds for each 1,000 leaves after the answer to their appends. `drain` is for leaves with one
   * accounting line each.
   */
  readonly afterwards: { readonly copy: number; readonly drain: number };
  readonly verification: Verification;
  readonly sizes: Sizes;
  /** By the number of appends in a frame. */
  readonly counts: readonly Counted[];
  readonly shelf: ShelfCounted;
}

// Shards that no other part of the run uses. Rounds take the shards from 0 on.
const shards = { verified: 54, warm: 55, copied: 56, drained: 58, short: 59, counted: 60 };

interface Extent extends LedgerPace {
  /** Leaves that are copied, drained and read. */
  readonly leaves: number;
  /** Leaves of the log for `verify-vs-sha256`. */
  readonly verified: number;
  readonly shelfLines: number;
  readonly countedFrames: number;
}

const extents: Readonly<Record<Duration, Extent>> = {
  full: { ...fullLedgerPace, leaves: 10_000, verified: 100_000, shelfLines: 20_000, countedFrames: 64 },
  quick: {
    ...fullLedgerPace,
    milliseconds: 1_000,
    leaves: 0,
    verified: 20_000,
    shelfLines: 5_000,
    countedFrames: 0,
  },
  short: { ...shortLedgerPace, leaves: 300, verified: 300, shelfLines: 2_000, countedFrames: 4 },
};

/**
 * Runs the group in its own workerd, with its state below `folder`. Throws when an answer, a count or a log
 * is wrong. A quick run has the measures and no details.
 */
export async function runLedgerGroup(
  folder: string,
  duration: Duration,
  rounds: number,
): Promise<{ readonly report: LedgerReport | null; readonly measures: readonly Measure[] }> {
  const stack = await serveLedger(join(folder, "ledger"));
  const driver = driverOf(stack);
  const extent = extents[duration];
  const keyOf = (log: string, size: number): LogKey => ({
    key: verifierKey(`${benchLedgerName}/${log}`, stack.publicKey),
    size,
  });

  const shelf = await driver.ask<ShelfCounted>({ kind: "count-shelf", lines: extent.shelfLines });
  const appends: AppendFigure[] = [];
  for (let round = 0; round < rounds; round++) {
    console.error(`ledger: round ${round + 1} of ${rounds} …`);
    const plan = duration === "quick" ? plainAppends : everyAppend;
    appends.push(...(await appendRound(driver, driver.log(round % shards.verified), plan, extent)));
  }
  const few = keyOf(driver.log(shards.short), await fill(driver, driver.log(shards.short), "read", 1));
  console.error(`ledger: verifying ${extent.verified} leaves …`);
  const verified = driver.log(shards.verified);
  const whole = keyOf(verified, await fill(driver, verified, "read", extent.verified));
  const pairs = verifyBesideHashing(driver.ledgerUrl, folder, few, whole, duration === "short" ? 1 : 3);

  const sizes = await measureSizes();
  const measures = [
    ...appendMeasures(appends),
    valueOf("leaf-bytes", [sizes.appends.read.leafBytes + shelf.storedBytesPerLine]),
    ratioOf("verify-vs-sha256", pairs),
  ];
  const details =
    duration === "quick"
      ? null
      : await detailsOf(driver, folder, duration === "short", extent, rounds, keyOf, few);
  await stack.process.close();
  const report = details && {
    ...details,
    appends: mediansOf(appends, ({ append, peer, callers }) => `${append} ${peer} ${callers}`),
    sizes,
    shelf,
  };
  return { report, measures };
}

/** The parts of the report that no measure needs. */
async function detailsOf(
  driver: Driver,
  folder: string,
  isShort: boolean,
  extent: Extent,
  rounds: number,
  keyOf: (log: string, size: number) => LogKey,
  few: LogKey,
): Promise<Pick<LedgerReport, "counts" | "afterwards" | "served" | "verification">> {
  const counts: Counted[] = [];
  for (const [i, perFrame] of [1, 8, 64].entries())
    counts.push(await countFrames(driver, driver.log(shards.counted + i), perFrame, extent.countedFrames));

  const [copied, warm, drained] = [shards.copied, shards.warm, shards.drained].map((shard) =>
    driver.log(shard),
  );
  if (copied === undefined || warm === undefined || drained === undefined) throw new Error("three logs");
  const refusals = await fill(driver, copied, "refusal", extent.leaves);
  const copy = ((await settle(driver, copied)) / refusals) * 1_000;
  if (!isShort) await fill(driver, warm, "read", extent.leaves);
  if (!isShort) await settle(driver, warm); // most line stores exist after that
  const reads = await fill(driver, drained, "read", extent.leaves);
  const drain = ((await settle(driver, drained)) / reads) * 1_000 - copy;

  const served: ServedFigure[] = [];
  for (let round = 0; round < rounds; round++)
    served.push(...(await serveRound(driver, drained, reads, extent)));
  return {
    counts,
    afterwards: { copy, drain },
    served: mediansOf(served, ({ what }) => what),
    verification: measureVerification(driver.ledgerUrl, folder, few, keyOf(drained, reads)),
  };
}

/** A read's append of the ledger beside a plain row for the same event, round by round. */
function appendMeasures(figures: readonly AppendFigure[]): readonly Measure[] {
  const pairs = (callers: number, quantity: (figure: AppendFigure) => number) => {
    const of = (peer: string) =>
      figures.filter(
        (figure) => figure.append === "read" && figure.callers === callers && figure.peer === peer,
      );
    const rows = of("row");
    return of("ledger").flatMap((figure, round) => {
      const against = rows[round];
      return against === undefined ? [] : [{ a: quantity(figure), b: quantity(against) }];
    });
  };
  return [
    ratioOf(
      "append-1",
      pairs(1, (figure) => figure.appendsPerSecond),
    ),
    ratioOf(
      "append-256",
      pairs(256, (figure) => figure.appendsPerSecond),
    ),
    ratioOf(
      "append-tail-256",
      pairs(256, (figure) => figure.p99Milliseconds),
    ),
  ];
}

async function countFrames(driver: Driver, log: string, perFrame: number, frames: number): Promise<Counted> {
  const asked = { kind: "count", append: "read", log, run: driver.newRun(), perFrame, frames } as const;
  return { perFrame, frames, ...(await driver.ask<Omit<Counted, "perFrame" | "frames">>(asked)) };
}
