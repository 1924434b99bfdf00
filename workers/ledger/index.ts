import { LedgerShard } from "#platform/durable/ledger-shard";
import { readShardCount } from "#platform/durable/ledger-config";
import { serveLedger } from "#platform/durable/ledger-public";

export { LedgerShard };

/** The ledger's public side; records come in by RPC, straight at `LedgerShard`. */
export default {
  fetch: (request, env) => serveLedger(request, env.LEDGER_SHARD, readShardCount(env)),
} satisfies ExportedHandler<LedgerWorkerEnv>;
