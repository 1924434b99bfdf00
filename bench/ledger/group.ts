import { join } from "node:path";
import { verifierKey } from "#ledger/tlog/signed-note";
import { ratioOf, valueOf, type Measure } from "../measures.ts";
import type { Duration } from "../options.ts";
import type { Counted, ShelfCounted } from "./asks.ts";
import { benchLedgerName } from "./environment.ts";
import { appendRounds } from "./appends.ts";
import {
  appendRound,
  driverOf,
  fill,
  mediansOf,
  serveRound,
  settle,
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

// Shards that no other part of the run uses. The appends of the measures take shard 0, rounds of details the next.
const shards = { verified: 54, warm: 55, copied: 56, drained: 58, short: 59, counted: 60 };

interface Extent extends LedgerPace {
  /** Rounds of the details; 0: no details. */
  readonly detailRounds: number;
  /** Leaves that are copied, drained and read. */
  readonly leaves: number;
  /** Leaves of the log for `verify-vs-sha256`, and how often it is verified. */
  readonly verified: number;
  readonly verifications: number;
  readonly shelfLines: number;
  readonly countedFrames: number;
}

const extents: Readonly<Record<Duration, Extent>> = {
  full: {
    warmMilliseconds: 100,
    milliseconds: 300,
    detailRounds: 2,
    leaves: 5_000,
    verified: 20_000,
    verifications: 5,
    shelfLines: 20_000,
    countedFrames: 64,
  },
  quick: {
    warmMilliseconds: 0,
    milliseconds: 0,
    detailRounds: 0,
    leaves: 0,
    verified: 20_000,
    verifications: 3,
    shelfLines: 5_000,
    countedFrames: 0,
  },
  short: {
    warmMilliseconds: 30,
    milliseconds: 100,
    detailRounds: 1,
    leaves: 300,
    verified: 300,
    verifications: 1,
    shelfLines: 2_000,
    countedFrames: 4,
  },
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
  const stack = await serveLedger(join(folder, "ledger"), join(import.meta.dirname, "../.."));
  const driver = driverOf(stack);
  const extent = extents[duration];
  const keyOf = (log: string, size: number): LogKey => ({
    key: verifierKey(`${benchLedgerName}/${log}`, stack.publicKey),
    size,
  });

  const shelf = await driver.ask<ShelfCounted>({ kind: "count-shelf", lines: extent.shelfLines });
  console.error("ledger: appends …");
  const [appends = []] = await appendRounds([driver], duration, rounds);
  const few = keyOf(driver.log(shards.short), await fill(driver, driver.log(shards.short), "read", 1));
  console.error(`ledger: verifying ${extent.verified} leaves …`);
  const verified = driver.log(shards.verified);
  const whole = keyOf(verified, await fill(driver, verified, "read", extent.verified));
  const pairs = verifyBesideHashing(driver.ledgerUrl, folder, few, whole, extent.verifications);

  const sizes = await measureSizes();
  const measures = [
    ...appends.map((rounds) => ratioOf(rounds.id, rounds.pairs)),
    valueOf("leaf-bytes", [sizes.appends.read.leafBytes + shelf.storedBytesPerLine]),
    ratioOf("verify-vs-sha256", pairs),
  ];
  const details = extent.detailRounds > 0 ? await detailsOf(driver, folder, extent, keyOf, few) : null;
  await stack.process.close();
  return { report: details && { ...details, sizes, shelf }, measures };
}

/** The parts of the report that no measure needs. */
async function detailsOf(
  driver: Driver,
  folder: string,
  extent: Extent,
  keyOf: (log: string, size: number) => LogKey,
  few: LogKey,
): Promise<Omit<LedgerReport, "sizes" | "shelf">> {
  const appends: AppendFigure[] = [];
  for (let round = 1; round <= extent.detailRounds; round++) {
    console.error(`ledger: details, round ${round} of ${extent.detailRounds} …`);
    appends.push(...(await appendRound(driver, driver.log(round), extent)));
  }
  const counts: Counted[] = [];
  for (const [i, perFrame] of [1, 8, 64].entries())
    counts.push(await countFrames(driver, driver.log(shards.counted + i), perFrame, extent.countedFrames));

  const [copied, warm, drained] = [shards.copied, shards.warm, shards.drained].map((shard) =>
    driver.log(shard),
  );
  if (copied === undefined || warm === undefined || drained === undefined) throw new Error("three logs");
  const refusals = await fill(driver, copied, "refusal", extent.leaves);
  const copy = ((await settle(driver, copied)) / refusals) * 1_000;
  await fill(driver, warm, "read", extent.leaves);
  await settle(driver, warm); // most line stores exist after that
  const reads = await fill(driver, drained, "read", extent.leaves);
  const drain = ((await settle(driver, drained)) / reads) * 1_000 - copy;

  const served: ServedFigure[] = [];
  for (let round = 0; round < extent.detailRounds; round++)
    served.push(...(await serveRound(driver, drained, reads, extent)));
  return {
    appends: mediansOf(appends, ({ append, peer, callers }) => `${append} ${peer} ${callers}`),
    counts,
    afterwards: { copy, drain },
    served: mediansOf(served, ({ what }) => what),
    verification: measureVerification(driver.ledgerUrl, folder, few, keyOf(drained, reads)),
  };
}

async function countFrames(driver: Driver, log: string, perFrame: number, frames: number): Promise<Counted> {
  const asked = { kind: "count", append: "read", log, run: driver.newRun(), perFrame, frames } as const;
  return { perFrame, frames, ...(await driver.ask<Omit<Counted, "perFrame" | "frames">>(asked)) };
}
