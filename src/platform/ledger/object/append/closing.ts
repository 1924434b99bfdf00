import type { AuditEvent } from "#audit/event";
import { type Instant, instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { sha256 } from "#ledger/bytes/hash";
import { halfYearOf, logName, overAt, parseLogName } from "#ledger/log-name";
import type { LedgerRootLink } from "#platform/ledger/object/root/link";
import { tallyEvent } from "./tally.ts";
import type { LedgerWriter } from "./writer.ts";
import { within } from "#platform/within";
import { log } from "#platform/log";

const PATIENCE_MS = 10_000;

interface ClosingParts {
  readonly log: string;
  readonly shards: number;
  readonly writer: LedgerWriter;
  readonly root: LedgerRootLink;
  /** Makes another log record an event. */
  readonly append: (log: string, event: AuditEvent) => Promise<unknown>;
}

/** Work that no append does: it records counts of refusals, and seals a log whose time is over. */
export class LedgerClosing {
  readonly #parts: ClosingParts;

  constructor(parts: ClosingParts) {
    this.#parts = parts;
  }

  /** False when there is still work to do. Never throws. */
  async run(): Promise<boolean> {
    const { log: name, writer } = this.#parts;
    const now = instant(Date.now());
    const over = overAt(name);
    if (writer.isSealed || over === undefined || now < over) return writer.settleCounts();
    try {
      return await this.#seal(over, now);
    } catch {
      log({ event: "ledger_seal_failed", log: name });
      return false;
    }
  }

  async #seal(over: Instant, now: Instant): Promise<boolean> {
    const { log, writer, root, shards } = this.#parts;
    const { counts, head } = writer;
    const isCounted = Object.keys(counts).length > 0;
    if (head.size === 0 && !isCounted) return true;
    const heir = logName({ shard: (parseLogName(log)?.shard ?? 0) % shards, halfYear: halfYearOf(now) });
    // No log opens after its seal. A single clock that runs ahead must not seal it, so the root log's clock
    // must agree.
    if (!(await root.opens(heir))) return false;
    if (isCounted) {
      // The event is identical each time, so readers count it once.
      const id = Buffer.from(sha256(utf8(`refusals counted in ${log}`)).subarray(0, 16)).toString("hex");
      await within(
        PATIENCE_MS,
        this.#parts.append(heir, tallyEvent(id, over, counts)),
        "ledger: no answer in time",
      );
    }
    return head.size === 0 || writer.seal(counts);
  }
}
