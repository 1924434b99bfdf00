import { WorkerEntrypoint } from "cloudflare:workers";
import type { Disclosures as Accounting, LinesRequest } from "#audit/accounting/disclosures";
import type { HoldersRequest } from "#audit/accounting/holders";
import { type AccountingToWrite, type AccountingWriter, writeAccounting } from "#audit/accounting/written";
import type { LedgerRestore } from "#ledger/restore";
import type { TailCursor } from "#audit/traffic/ends";
import type { TrafficSpan } from "#audit/traffic/span";
import { instant } from "#kernel/clock";
import { AccountingDesk } from "#platform/ledger/isolate/accounting-desk";
import { AccountingIntake } from "#platform/ledger/object/accounting/accounting-intake";
import { AccountingShelf } from "#platform/ledger/object/accounting/accounting-shelf";
import { ledgerHealth, shardsOfHalfYear, tailOf } from "#platform/ledger/isolate/ledger-health";
import { RecoveryDesk } from "#platform/ledger/isolate/recovery-desk";
import { LedgerDoor } from "#platform/ledger/isolate/public-door";
import { regionlessStubs } from "#platform/ledger/client/stubs";
import { readLedgerPlacement } from "#platform/ledger/config";
import { ElementCounts } from "#platform/elements/object/element-counts";
import { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import { TRAFFIC_BOOK, TrafficBook } from "#platform/ledger/object/traffic/traffic-book";
import { LedgerShard } from "#platform/ledger/object/append/ledger-shard";

export { AccountingIntake, AccountingShelf, ElementCounts, LedgerRoot, LedgerShard, TrafficBook };

const deskOf = (env: LedgerWorkerEnv) => new AccountingDesk(env, () => instant(Date.now()));

/**
 * Patients' accounting lines, for the gateway: each call for lines is on record before it answers. `write` has
 * only the lines that its caller has.
 */
export class Disclosures extends WorkerEntrypoint<LedgerWorkerEnv> implements Accounting, AccountingWriter {
  linesOf(request: LinesRequest) {
    return deskOf(this.env).linesOf(request);
  }

  write(accounting: AccountingToWrite) {
    return Promise.resolve(writeAccounting(accounting));
  }
}

/** The clients that hold information about a patient, for the ops worker: each call is on record before it answers. */
export class AccountingHolders extends WorkerEntrypoint<LedgerWorkerEnv> {
  holdersOf(request: HoldersRequest) {
    return deskOf(this.env).holdersOf(request);
  }
}

/** Suspensions of a patient's accounting, for the ops worker. */
export class AccountingHolds extends WorkerEntrypoint<LedgerWorkerEnv> {
  hold(document: unknown) {
    return deskOf(this.env).hold(document);
  }
}

/**
 * The public numbers of all open logs for the operators' console, the shards of the half-year, and the totals of
 * requests, also by time, and the newest ends of requests. It discloses nothing else and changes nothing.
 */
export class LedgerHealth extends WorkerEntrypoint<LedgerWorkerEnv> {
  report() {
    return ledgerHealth(this.env, instant(Date.now()));
  }

  shards() {
    return shardsOfHalfYear(this.env, instant(Date.now()));
  }

  traffic() {
    return this.#book.totals();
  }

  trafficOf(span: TrafficSpan) {
    return this.#book.span(span);
  }

  ends(after: TailCursor) {
    return tailOf(this.env, instant(Date.now()), after);
  }

  get #book() {
    return regionlessStubs(this.env.TRAFFIC_BOOK, readLedgerPlacement(this.env))(TRAFFIC_BOOK);
  }
}

/** Restores logs whose storage was lost, for the ops worker, which records each call. */
export class LedgerRecovery extends WorkerEntrypoint<LedgerWorkerEnv> implements LedgerRestore {
  restore(log: string | undefined) {
    return new RecoveryDesk(this.env).restore(log);
  }
}

// each remembers settled data only, for every request of the isolate
const doors = new WeakMap<LedgerWorkerEnv, LedgerDoor>();

function doorOf(env: LedgerWorkerEnv): LedgerDoor {
  const door = doors.get(env) ?? new LedgerDoor(env);
  doors.set(env, door);
  return door;
}

/** The ledger's public side; records come in by RPC, straight at `LedgerShard`. */
export default {
  fetch: (request, env) => doorOf(env).serve(request),
} satisfies ExportedHandler<LedgerWorkerEnv>;
