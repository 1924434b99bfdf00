import type { Tail, TailCursor } from "#audit/traffic/ends";
import type { Instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import type { HalfYearShards, LedgerHealthReport, LogHealth, WitnessHealth } from "#ledger/health";
import { halfYearOf, openLogs } from "#ledger/log-name";
import { ROOT_LOG } from "#ledger/root-log";
import { askWithStandIns } from "#ledger/stand-in-chain";
import { parseCheckpointText } from "#ledger/tlog/checkpoint";
import { cosignedAt } from "#ledger/tlog/cosignature";
import { readNote } from "#ledger/tlog/signed-note";
import { logStubs } from "#platform/ledger/client/stubs";
import { readLedgerPlacement } from "#platform/ledger/config";
import type { PlacementVariables } from "#platform/ledger/placement";
import type { LedgerShard, ShardStatus } from "#platform/ledger/object/append/ledger-shard";
import type { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import { readWitnesses } from "#platform/ledger/object/root/config";
import { within } from "#platform/within";

interface LedgerHealthEnv extends PlacementVariables {
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
  readonly LEDGER_ROOT: DurableObjectNamespace<LedgerRoot>;
  readonly WITNESSES: unknown;
}

const patienceMilliseconds = 2_000;

/**
 * Asks every open log with the logs that stand in for it, the root log and its checkpoint. A part that does
 * not answer is `silent`; never throws.
 */
export async function ledgerHealth(env: LedgerHealthEnv, at: Instant): Promise<LedgerHealthReport> {
  const placement = readLedgerPlacement(env);
  const [logOf, rootOf] = [logStubs(env.LEDGER_SHARD, placement), logStubs(env.LEDGER_ROOT, placement)];
  const root = rootOf(ROOT_LOG);
  const healthOf = async (log: string): Promise<Asked> => {
    const status = await answered(logOf(log).status());
    if (status === undefined) return { standIn: null, health: silent(log) };
    const { size, copied, behindSeconds, seconds, standIn } = status;
    // A log with leaves was opened in the root log: this call answers its last checkpoint and opens nothing.
    const note = size === 0 && !status.isRebuilt ? undefined : await answered(root.open(log));
    const rooted = sizeIn(note === undefined ? undefined : utf8(note));
    return {
      standIn,
      health: { log, size, copied, behindSeconds, rooted, seconds, ...stateOf(status, rooted) },
    };
  };
  const logs = openLogs(placement.layout.shards, at).map((log) => askWithStandIns(log, healthOf));
  const [all, status, checkpoint] = await Promise.all([
    Promise.all(logs),
    answered(root.status()),
    answered(root.checkpoint()),
  ]);
  const ofRoot =
    status === undefined
      ? silent(ROOT_LOG)
      : {
          log: ROOT_LOG,
          state: status.health,
          size: status.size,
          copied: status.copied,
          behindSeconds: status.behindSeconds,
          rooted: status.size,
          seconds: 0,
          why: status.why,
        };
  const witnesses = readWitnesses(env.WITNESSES).map(({ verifier }): WitnessHealth => {
    const cosigned = checkpoint === undefined ? undefined : cosignedAt(checkpoint, verifier);
    const seconds = cosigned?.ok === true ? cosigned.value : undefined;
    const isCurrent = seconds !== undefined && status !== undefined && sizeIn(checkpoint) === status.size;
    return { name: verifier.name, cosignedAt: seconds, isCurrent };
  });
  return { logs: all.flat().map(({ health }) => health), root: ofRoot, witnesses };
}

/**
 * The shards with which the present half-year began, from the root log. A deployment with different values is
 * refused, so `phylax deploy check` compares them before.
 */
export async function shardsOfHalfYear(
  env: Pick<LedgerHealthEnv, "LEDGER_ROOT" | keyof PlacementVariables>,
  at: Instant,
): Promise<HalfYearShards> {
  const halfYear = halfYearOf(at);
  const root = logStubs(env.LEDGER_ROOT, readLedgerPlacement(env))(ROOT_LOG);
  return { halfYear, shards: (await root.layoutOf(halfYear)) ?? null };
}

/** The newest ends of requests in all open logs, and where to go on. A log that does not answer is left for later. */
export async function tailOf(
  env: Pick<LedgerHealthEnv, "LEDGER_SHARD" | keyof PlacementVariables>,
  at: Instant,
  after: TailCursor,
): Promise<Tail> {
  const placement = readLedgerPlacement(env);
  const logOf = logStubs(env.LEDGER_SHARD, placement);
  const isBegun = Object.keys(after).length > 0;
  const partOf = async (log: string) => {
    // a log that came since is shown from its begin
    const part = await answered(logOf(log).endsSince(after[log] ?? (isBegun ? -1 : undefined)));
    return { log, part, standIn: part?.standIn ?? null };
  };
  const logs = openLogs(placement.layout.shards, at).map((log) => askWithStandIns(log, partOf));
  const parts = (await Promise.all(logs)).flat();
  const ends = parts.flatMap(({ part }) => part?.ends ?? []);
  const frames = parts.flatMap(({ log, part }) => (part === undefined ? [] : [[log, part.frame] as const]));
  return {
    ends: ends.toSorted((one, other) => one.recordedAt - other.recordedAt),
    incomplete: parts.flatMap(({ log, part }) => (part?.isIncomplete === true ? [log] : [])),
    after: { ...after, ...Object.fromEntries(frames) },
  };
}

interface Asked {
  readonly standIn: string | null;
  readonly health: LogHealth;
}

/** A rebuilt log takes no records; it is `degraded` if the root log knows leaves that it lacks. */
function stateOf(
  { size, health, sealed, why, isRebuilt, standIn }: ShardStatus,
  rooted: number,
): Pick<LogHealth, "state" | "why"> {
  if (isRebuilt && health !== "refusing") {
    const rebuilt = `rebuilt after a loss${standIn === null ? "" : `; ${standIn} takes its records`}`;
    return rooted > size
      ? { state: "degraded", why: `${rebuilt}; leaves ${size} to ${rooted - 1} are lost` }
      : { state: "sealed", why: rebuilt };
  }
  return { state: sealed ? "sealed" : size === 0 && health !== "refusing" ? "idle" : health, why };
}

const silent = (log: string): LogHealth => ({
  log,
  state: "silent",
  size: 0,
  copied: 0,
  behindSeconds: 0,
  rooted: 0,
  seconds: 0,
  why: null,
});

function sizeIn(note: Uint8Array | undefined): number {
  const read = note === undefined ? undefined : readNote(note);
  const checkpoint = read?.ok === true ? parseCheckpointText(read.value.text) : undefined;
  return checkpoint?.ok === true ? checkpoint.value.size : 0;
}

const answered = async <T>(asked: Promise<T>): Promise<T | undefined> =>
  within(patienceMilliseconds, asked, "ledger: no answer in time").catch(() => undefined);
