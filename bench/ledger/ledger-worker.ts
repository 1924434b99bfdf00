// The ledger's own objects with one change: the work after the appends (copying, draining) waits for a call,
// so that the two are measured apart.
import { accountingLines, readLine } from "#audit/accounting/line";
import { Secret } from "#kernel/secret";
import { AccountingIntake } from "#platform/ledger/object/accounting/accounting-intake";
import { AccountingShelf, type ProvableLine } from "#platform/ledger/object/accounting/accounting-shelf";
import type { LedgerEnv } from "#platform/ledger/config";
import { LedgerDoor } from "#platform/ledger/isolate/public-door";
import { LedgerRoot as Root } from "#platform/ledger/object/root/ledger-root";
import { LedgerShard as Shard } from "#platform/ledger/object/append/ledger-shard";
import { TrafficBook } from "#platform/ledger/object/traffic/traffic-book";
import type { ShelfCounted } from "./asks.ts";
import { type Counts, countCalls, countRows, countsSoFar } from "./counts.ts";
import { appendOf } from "./events.ts";

export { AccountingIntake, AccountingShelf, TrafficBook };

interface Env extends LedgerEnv {
  readonly LEDGER_BUCKET: R2Bucket;
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
  readonly LEDGER_ROOT: DurableObjectNamespace<LedgerRoot>;
  readonly ACCOUNTING_SHELF: DurableObjectNamespace<AccountingShelf>;
  readonly ACCOUNTING_INTAKE: DurableObjectNamespace<AccountingIntake>;
  readonly TRAFFIC_BOOK: DurableObjectNamespace<TrafficBook>;
  readonly COUNTED_SHELF: DurableObjectNamespace<CountedShelf>;
}

export class LedgerShard extends Shard {
  override alarm(): Promise<void> {
    return Promise.resolve();
  }

  /** The work of one alarm. Returns the number of rows of lines that remain. */
  async settle(): Promise<{ readonly lines: number }> {
    await super.alarm();
    return this.ctx.storage.sql.exec<{ lines: number }>("SELECT count(*) AS lines FROM lines").one();
  }
}

export class LedgerRoot extends Root {
  override alarm(): Promise<void> {
    return Promise.resolve();
  }

  settle(): Promise<void> {
    return super.alarm();
  }
}

/**
 * Counts every row, every call of R2 and every call of a line store. No figure of speed comes from this
 * class.
 */
export class CountedShard extends LedgerShard {
  constructor(ctx: DurableObjectState, env: Env) {
    countRows(ctx.storage.sql, "shard");
    super(ctx, {
      ...env,
      LEDGER_BUCKET: countCalls(env.LEDGER_BUCKET, "bucket"),
      // Every method that a shard uses.
      ACCOUNTING_SHELF: {
        getByName: (name: string) => countCalls(env.COUNTED_SHELF.getByName(name), "shelf"),
      } as never,
      ACCOUNTING_INTAKE: {
        getByName: (name: string) => countCalls(env.ACCOUNTING_INTAKE.getByName(name), "shelf"),
      } as never,
    });
  }

  /** Appends in one turn of the event loop, so that they share a frame. */
  async appendAtOnce(appends: readonly Parameters<Shard["append"]>[0][]): Promise<void> {
    await Promise.all(appends.map((events) => this.append(events)));
  }

  counts(): Counts {
    return { ...countsSoFar(), storedBytes: this.ctx.storage.sql.databaseSize };
  }
}

export class CountedShelf extends AccountingShelf {
  constructor(ctx: DurableObjectState, env: Env) {
    countRows(ctx.storage.sql, "shelf");
    super(ctx, env);
  }

  /** Stores invented lines of as many patients, in the form that shards send. */
  async countLines(many: number): Promise<ShelfCounted> {
    const key = new Secret(crypto.getRandomValues(new Uint8Array(32)));
    const lineOf = (index: number): ProvableLine => {
      const [content = new Uint8Array()] = appendOf("read", "5e1f", index, Date.now()).flatMap((event) =>
        accountingLines(event, key),
      );
      const [subject, salt] = [
        readLine(content)?.subject ?? new Uint8Array(),
        crypto.getRandomValues(new Uint8Array(32)),
      ];
      return { subject, log: "s17-2026h2", index, line: 0, lines: 1, content, salt, path: [] };
    };
    const put = (first: number) => this.put(Array.from({ length: 100 }, (_, i) => lineOf(first + i)));
    await put(0); // creates the tables
    const [before] = [this.ctx.storage.sql.databaseSize, countsSoFar()];
    for (let first = 100; first < many; first += 100) await put(first);
    const lines = many - 100;
    const rows = countsSoFar()["shelf.rows"] ?? Number.NaN;
    return {
      rowsPerLine: rows / lines,
      storedBytesPerLine: (this.ctx.storage.sql.databaseSize - before) / lines,
    };
  }
}

export class CountedRoot extends LedgerRoot {
  constructor(ctx: DurableObjectState, env: Env & { readonly WITNESSES: unknown }) {
    countRows(ctx.storage.sql, "root");
    super(ctx, { ...env, LEDGER_BUCKET: countCalls(env.LEDGER_BUCKET, "rootBucket") });
  }

  counts(): Counts {
    return { ...countsSoFar(), storedBytes: this.ctx.storage.sql.databaseSize };
  }
}

const everyRead = { limit: () => Promise.resolve({ success: true }) };
let door: LedgerDoor | undefined;

export default {
  fetch: (request, env) =>
    (door ??= new LedgerDoor({ ...env, PUBLIC_READS: everyRead, OBJECT_READS: everyRead })).serve(request),
} satisfies ExportedHandler<Env>;
