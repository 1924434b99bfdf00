import { err, ok, type Result } from "#kernel/result";
import { utf8 } from "#kernel/encoded";
import type { LedgerRestore, LogRestored, RestoreProblem } from "#ledger/restore";
import { isOpenLog, openLogs, parseLogName } from "#ledger/log-name";
import { instant } from "#kernel/clock";
import { ROOT_LOG } from "#ledger/root-log";
import { askWithStandIns } from "#ledger/stand-in-chain";
import { openCheckpoint } from "#ledger/tlog/checkpoint";
import { logStubs } from "#platform/ledger/client/stubs";
import { inTurns } from "#platform/in-turns";
import { type LedgerConfig, type LedgerEnv, readLedgerConfig, signerOf } from "#platform/ledger/config";
import { OwnCalls } from "#platform/ledger/object/append/own-calls";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import type { LedgerRoot } from "#platform/ledger/object/root/ledger-root";

interface RecoveryEnv extends LedgerEnv {
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
  readonly LEDGER_ROOT: DurableObjectNamespace<LedgerRoot>;
}

/**
 * Restores a log whose storage was lost, a part in each call. The log itself says that its storage is empty: no
 * caller can replace a log that still has rows, which would be evidence.
 */
export class RecoveryDesk implements LedgerRestore {
  readonly #env: RecoveryEnv;

  constructor(env: RecoveryEnv) {
    this.#env = env;
  }

  async restore(log: string | undefined): Promise<Result<readonly LogRestored[], RestoreProblem>> {
    const config = readLedgerConfig(this.#env);
    if (log !== undefined) {
      const restored = await this.#restore(log, config);
      return restored.ok ? ok([restored.value]) : restored;
    }
    const all: LogRestored[] = [];
    const logOf = logStubs(this.#env.LEDGER_SHARD, config);
    await inTurns(openLogs(config.shards, instant(Date.now())), async (open) => {
      // A restored log names its stand-in, which may be lost too.
      await askWithStandIns(open, async (lost) => {
        const restored = await this.#restore(lost, config);
        if (restored.ok) all.push(restored.value);
        return logOf(lost).status();
      });
    });
    return ok(all.toSorted((left, right) => (left.log < right.log ? -1 : 1)));
  }

  async #restore(log: string, config: LedgerConfig): Promise<Result<LogRestored, RestoreProblem>> {
    const name = parseLogName(log);
    if (name === undefined) return err({ reason: "restore_log_unknown" });
    const root = logStubs(this.#env.LEDGER_ROOT, config)(ROOT_LOG);
    // Only a log that the root log opened: a made-up name starts no object.
    if (!(await root.logsOf(name.halfYear)).includes(log)) return err({ reason: "restore_log_unknown" });
    const logOf = logStubs(this.#env.LEDGER_SHARD, config);
    const before = await logOf(log).status();
    if (!before.isLost && !before.isRebuilt) return err({ reason: "restore_log_not_lost" });
    const isOpen = isOpenLog(log, config.shards, instant(Date.now()));
    const standIn = isOpen ? await root.appointStandIn(log) : undefined;
    const call = new OwnCalls(config.accountingKeys).seal(log, { kind: "rebuild", standIn });
    // The last step ends the object on purpose; the next call, or the next status, starts it from its rows.
    const isDone = await logOf(log)
      .ownCall(call)
      .catch((fault: unknown) => {
        if (fault instanceof Error && Reflect.get(fault, "durableObjectReset") === true) return false;
        throw fault;
      });
    const { size } = await logOf(log).status();
    const note = await root.open(log);
    const rooted =
      note === undefined ? undefined : openCheckpoint(utf8(note), signerOf(config, `${config.name}/${log}`));
    return ok({
      log,
      standIn: standIn ?? null,
      isDone,
      leaves: size,
      rooted: rooted?.ok === true ? rooted.value.size : 0,
    });
  }
}
