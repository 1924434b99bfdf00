import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { verifierKey } from "#ledger/tlog/signed-note";
import { start } from "../process/process.ts";
import type { Counted, ShelfCounted } from "./asks.ts";
import { benchLedgerName } from "./environment.ts";
import {
  appendRound,
  driverOf,
  fill,
  fullLedgerPace,
  mediansOf,
  serveRound,
  settle,
  shortLedgerPace,
  type AppendFigure,
  type Driver,
  type ServedFigure,
} from "./measure.ts";
import { measureSizes, type Sizes } from "./sizes.ts";
import { measureVerification, type Verification } from "./verification.ts";

/** All results of the ledger group. */
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
const shards = { copied: 56, warm: 57, drained: 58, short: 59, counted: 60 };

/**
 * Runs the group in its own workerd, with its state below `folder`. Throws when an answer, a count or a log
 * is wrong.
 */
export async function runLedgerGroup(
  folder: string,
  isShort: boolean,
  rounds: number,
): Promise<LedgerReport> {
  const state = join(folder, "ledger-state");
  mkdirSync(state);
  const running = await start({
    place: "measured",
    command: [process.execPath, join(import.meta.dirname, "server.ts"), state],
    ready: [/^listening (?<driver>\S+) (?<ledger>\S+) (?<key>\S+)$/mu],
  });
  const driver = driverOf(running);
  const pace = isShort ? shortLedgerPace : fullLedgerPace;
  const leaves = isShort ? 300 : 10_000;

  const counts: Counted[] = [];
  for (const [i, perFrame] of [1, 8, 64].entries())
    counts.push(await countFrames(driver, driver.log(shards.counted + i), perFrame, isShort ? 4 : 64));
  const shelf = await driver.ask<ShelfCounted>({ kind: "count-shelf", lines: isShort ? 2_000 : 20_000 });

  const appends: AppendFigure[] = [];
  for (let round = 0; round < rounds; round++) {
    console.error(`ledger: round ${round + 1} of ${rounds} …`);
    appends.push(...(await appendRound(driver, driver.log(round % shards.copied), pace)));
  }

  const [copied, drained, short] = [
    driver.log(shards.copied),
    driver.log(shards.drained),
    driver.log(shards.short),
  ];
  const refusals = await fill(driver, copied, "refusal", leaves);
  const copy = ((await settle(driver, copied)) / refusals) * 1_000;
  if (!isShort) await fill(driver, driver.log(shards.warm), "read", leaves);
  if (!isShort) await settle(driver, driver.log(shards.warm)); // most line stores exist after that
  const reads = await fill(driver, drained, "read", leaves);
  const drain = ((await settle(driver, drained)) / reads) * 1_000 - copy;

  const servedFigures: ServedFigure[] = [];
  for (let round = 0; round < rounds; round++)
    servedFigures.push(...(await serveRound(driver, drained, reads, pace)));

  const keyOf = (log: string) =>
    verifierKey(
      `${benchLedgerName}/${log}`,
      new Uint8Array(Buffer.from(running.ready["key"] ?? "", "base64url")),
    );
  const few = await fill(driver, short, "read", 1);
  const verification = measureVerification(
    driver.ledgerUrl,
    folder,
    { key: keyOf(short), size: few },
    { key: keyOf(drained), size: reads },
  );
  await running.close();
  return {
    appends: mediansOf(appends, ({ append, peer, callers }) => `${append} ${peer} ${callers}`),
    served: mediansOf(servedFigures, ({ what }) => what),
    afterwards: { copy, drain },
    verification,
    sizes: await measureSizes(),
    counts,
    shelf,
  };
}

async function countFrames(driver: Driver, log: string, perFrame: number, frames: number): Promise<Counted> {
  const asked = { kind: "count", append: "read", log, run: driver.newRun(), perFrame, frames } as const;
  return { perFrame, frames, ...(await driver.ask<Omit<Counted, "perFrame" | "frames">>(asked)) };
}
