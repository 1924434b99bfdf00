import type { LedgerShard } from "./durable/ledger-shard.ts";

const patienceMilliseconds = 2_000;

/** Asks each dependency of the gateway for a sign of life. Never throws: a fault is `false`. */
export async function readiness(
  registry: D1Database,
  shards: DurableObjectNamespace<LedgerShard>,
  log: string,
): Promise<Readonly<Record<"registry" | "ledger", boolean>>> {
  const [registryAnswers, ledgerAnswers] = await Promise.all([
    alive(registry.prepare("SELECT count(*) FROM origins").first()),
    alive(shards.getByName(log).status()),
  ]);
  return { registry: registryAnswers, ledger: ledgerAnswers };
}

async function alive(sign: Promise<unknown>): Promise<boolean> {
  const answered = sign.then(
    () => true,
    () => false,
  );
  return Promise.race([answered, scheduler.wait(patienceMilliseconds).then(() => false)]);
}
