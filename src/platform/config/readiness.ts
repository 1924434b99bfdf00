import { askWithStandIns } from "#ledger/stand-in-chain";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import type { StubOf } from "#platform/ledger/client/stubs";

/** The ledger's logs, for their status. */
export type StatusOf = StubOf<Pick<LedgerShard, "status">>;

const patienceMilliseconds = 2_000;

/** Asks each dependency of the gateway for a sign of life. Never throws: a fault is `false`. */
export async function readiness(
  registry: D1Database,
  logOf: StatusOf,
  log: string,
): Promise<Readonly<Record<"registry" | "ledger", boolean>>> {
  const [registryAnswers, ledgerAnswers] = await Promise.all([
    alive(registry.prepare("SELECT count(*) FROM origins").first()),
    alive(takesRecords(logOf, log)),
  ]);
  return { registry: registryAnswers, ledger: ledgerAnswers };
}

/** Resolves when a log could take a record now. A log that is only late with its copy can. */
export async function takesRecords(logOf: StatusOf, log: string): Promise<void> {
  const states = await askWithStandIns(log, (each) => logOf(each).status());
  if (states.at(-1)?.health === "refusing") throw new Error("ledger: takes no records");
}

/** True when a sign of life came in time. Never throws. */
export async function alive(sign: Promise<unknown>): Promise<boolean> {
  const answered = sign.then(
    () => true,
    () => false,
  );
  return Promise.race([answered, scheduler.wait(patienceMilliseconds).then(() => false)]);
}
