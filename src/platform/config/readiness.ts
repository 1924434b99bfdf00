import { inTime } from "#platform/deadlines";
import { askWithStandIns } from "#ledger/stand-in-chain";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import type { StubOf } from "#platform/ledger/client/stubs";

/** The ledger's logs, for their status. */
export type StatusOf = StubOf<Pick<LedgerShard, "status">>;

/**
 * Asks each dependency of the gateway for a sign of life. Never throws: a fault is `false`.
 * @param logs a log, and the logs that take its records while it refuses.
 */
export async function readiness(
  registry: D1Database,
  logOf: StatusOf,
  logs: readonly string[],
): Promise<Readonly<Record<"registry" | "ledger", boolean>>> {
  const [registryAnswers, ledgerAnswers] = await Promise.all([
    alive(() => registry.prepare("SELECT count(*) FROM origins").first()),
    anyTakesRecords(logOf, logs),
  ]);
  return { registry: registryAnswers, ledger: ledgerAnswers };
}

/** True if one of the logs takes records. The further logs are asked only if the first does not. */
export async function anyTakesRecords(logOf: StatusOf, logs: readonly string[]): Promise<boolean> {
  const [first, ...others] = logs.map((log) => () => alive(() => takesRecords(logOf, log)));
  if (first !== undefined && (await first())) return true;
  return (await Promise.all(others.map((ask) => ask()))).includes(true);
}

/** Resolves when a log could take a record now. A log that is only late with its copy can. */
export async function takesRecords(logOf: StatusOf, log: string): Promise<void> {
  const states = await askWithStandIns(log, (each) => logOf(each).status());
  if (states.at(-1)?.health === "refusing") throw new Error("ledger: takes no records");
}

/** True when a sign of life came in time. Never throws. */
export const alive = (sign: () => Promise<unknown>): Promise<boolean> =>
  inTime("readiness", sign).then(
    () => true,
    () => false,
  );
