import { WorkerEntrypoint } from "cloudflare:workers";
import type { Disclosures as Accounting, LinesAsked } from "#audit/disclosures";
import { instant } from "#kernel/clock";
import { AccountingDesk } from "#platform/durable/accounting-desk";
import { AccountingShelf } from "#platform/durable/accounting-shelf";
import { LedgerDoor } from "#platform/durable/ledger-public";
import { LedgerRoot } from "#platform/durable/ledger-root";
import { LedgerShard } from "#platform/durable/ledger-shard";

export { AccountingShelf, LedgerRoot, LedgerShard };

const deskOf = (env: LedgerWorkerEnv) => new AccountingDesk(env, () => instant(Date.now()));

/** Patients' accounting lines, for the gateway: each call is on record before it answers. */
export class Disclosures extends WorkerEntrypoint<LedgerWorkerEnv> implements Accounting {
  linesOf(asked: LinesAsked) {
    return deskOf(this.env).linesOf(asked);
  }
}

/** Suspensions of a patient's accounting, for the operators' door. */
export class AccountingHolds extends WorkerEntrypoint<LedgerWorkerEnv> {
  hold(document: unknown) {
    return deskOf(this.env).hold(document);
  }
}

let door: LedgerDoor | undefined; // remembers settled data only, for every request of the isolate

/** The ledger's public side; records come in by RPC, straight at `LedgerShard`. */
export default {
  fetch: (request, env) => (door ??= new LedgerDoor(env)).serve(request),
} satisfies ExportedHandler<LedgerWorkerEnv>;
