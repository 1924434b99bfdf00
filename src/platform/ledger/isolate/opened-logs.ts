import { dayMilliseconds, instant, type Clock, type Instant } from "#kernel/clock";
import { halfYearOf, isStandIn, openHalfYears, overAt, parseLogName, placeOfShard } from "#ledger/log-name";
import { ROOT_LOG } from "#ledger/root-log";
import type { StubOf } from "#platform/ledger/client/stubs";
import type { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import { within } from "#platform/within";

const FIRST_HALF_YEAR = "2025h1"; // the format of this ledger is younger
// the root log's clock may be ahead, so that it opens the next half-year first
const HALF_YEAR_MS = 184 * dayMilliseconds;
const PATIENCE_MS = 5_000;
const RECENT_MS = 1_000;
const SET_BACK_MS = 60_000;

type RootOf = StubOf<Pick<DurableObjectStub<LedgerRoot>, "logsOf">>;

interface HalfYear {
  readonly logs: ReadonlySet<string>;
  readonly askedAt: Instant;
}

/**
 * The list of a ledger's logs, so that a made-up name never starts an object: the root log, the logs that
 * take records now, and the logs of earlier half-years that the root log opened. An isolate asks the root
 * log once for a closed half-year.
 */
export class OpenedLogs {
  readonly #root: RootOf;
  readonly #shards: number;
  readonly #clock: Clock;
  // two for each year since the first: no made-up name adds an entry
  readonly #halfYears = new Map<string, HalfYear>();
  #latest: Instant = instant(0);

  constructor(root: RootOf, shards: number, clock: Clock) {
    this.#root = root;
    this.#shards = shards;
    this.#clock = clock;
  }

  /** Throws when the root log must be asked and does not answer. */
  async has(log: string): Promise<boolean> {
    if (log === ROOT_LOG) return true;
    const name = parseLogName(log);
    if (name === undefined) return false;
    const now = this.#clock();
    // while the clock ran ahead, open half-years looked closed
    if (now < this.#latest - SET_BACK_MS) this.#halfYears.clear();
    this.#latest = now;
    if (openHalfYears(now).includes(name.halfYear)) {
      if (placeOfShard(name.shard) >= this.#shards) return false;
      if (!isStandIn(log)) return true;
    }
    if (name.halfYear < FIRST_HALF_YEAR || name.halfYear > halfYearOf(instant(now + HALF_YEAR_MS)))
      return false;
    return (await this.#logsOf(name.halfYear, overAt(log) ?? now, now)).has(log);
  }

  async #logsOf(halfYear: string, over: Instant, now: Instant): Promise<ReadonlySet<string>> {
    const known = this.#halfYears.get(halfYear);
    if (known !== undefined && (known.askedAt >= over || Math.abs(now - known.askedAt) < RECENT_MS))
      return known.logs;
    const answer = await within(
      PATIENCE_MS,
      this.#root(ROOT_LOG).logsOf(halfYear),
      "ledger: no answer in time",
    );
    const logs = new Set(answer);
    this.#halfYears.set(halfYear, { logs, askedAt: now });
    return logs;
  }
}
