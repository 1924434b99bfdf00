import { setTimeout as wait } from "node:timers/promises";
import type { TestStack } from "./stack.ts";

/** Runs SQL inside every shard of the ledger that has frames. `done`: called for each of them. */
export async function inEachShard(
  { dev, stack }: TestStack,
  sql: string,
  done: (log: string) => void = () => {},
): Promise<void> {
  for (const name of Object.keys(dev.logs)) {
    const storage = await stack.runtime.miniflare.unsafeGetDurableObjectStorage(
      "phylax-ledger",
      "LedgerShard",
      { name },
    );
    const [frames] = await storage.exec("SELECT count(*) AS n FROM sqlite_master WHERE name = 'frames'");
    if (frames?.["n"] !== 1) continue;
    await storage.exec(sql);
    done(name);
  }
}

/**
 * Asks until every shard has a frame: the requests of a quarter of a second meet in one log (ADR 72). A log
 * without a frame cannot be broken by {@link breakLedger}, and would go on recording.
 */
export async function fillEachShard(phylax: TestStack, ask: () => Promise<unknown>): Promise<void> {
  for (let turn = 0; turn < 60; turn++) {
    let filled = 0;
    await inEachShard(phylax, "SELECT 1", () => void (filled += 1));
    if (filled === Object.keys(phylax.dev.logs).length) return;
    await ask();
    await wait(250);
  }
  throw new Error("some shards have no frames after sixty turns");
}

/** From now on no record is durable. `DROP TRIGGER broken` ends this. */
export const breakLedger =
  "CREATE TRIGGER broken BEFORE INSERT ON frames BEGIN SELECT RAISE(ABORT, 'broken by the test'); END";

/** From now on no frame with more than this number of bytes is durable. */
export const breakLedgerFrom = (bytes: number): string =>
  breakLedger.replace("frames BEGIN", `frames WHEN length(NEW.body) > ${bytes} BEGIN`);
