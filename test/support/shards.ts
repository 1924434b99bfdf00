import { shardTables } from "#platform/ledger/object/log/store";
import type { TestStack } from "./stack.ts";

/**
 * Runs SQL inside every shard of the ledger, also inside a shard that no request has met yet. `done`: called for
 * each of them.
 */
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
    await storage.exec(shardTables);
    await storage.exec(sql);
    done(name);
  }
}

/** From now on no record is durable. `DROP TRIGGER broken` ends this. */
export const breakLedger =
  "CREATE TRIGGER broken BEFORE INSERT ON frames BEGIN SELECT RAISE(ABORT, 'broken by the test'); END";

/** From now on no frame with more than this number of bytes is durable. */
export const breakLedgerFrom = (bytes: number): string =>
  breakLedger.replace("frames BEGIN", `frames WHEN length(NEW.body) > ${bytes} BEGIN`);
