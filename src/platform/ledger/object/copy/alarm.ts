import type { Instant } from "#kernel/clock";

export const RETRY_MS = 5_000;

/** The alarm of a log's object: its next time. */
export class LedgerAlarm {
  readonly #storage: DurableObjectStorage;
  readonly #everyMs: number;
  readonly #idleUntil: () => Instant | undefined;
  #next: "soon" | "late" | "none" = "soon"; // until the start has checked

  /** `idleUntil`: the alarm's time for a log without work; undefined for never. */
  constructor(storage: DurableObjectStorage, everyMs: number, idleUntil: () => Instant | undefined) {
    this.#storage = storage;
    this.#everyMs = everyMs;
    this.#idleUntil = idleUntil;
  }

  /**
   * Continues from an earlier incarnation's alarm. A log without earlier work has at least the alarm of its
   * idle time.
   */
  async resume(): Promise<void> {
    const at = await this.#storage.getAlarm();
    this.#next = at === null ? "none" : at <= Date.now() + this.#everyMs ? "soon" : "late";
    if (at === null) this.rest();
  }

  /**
   * Makes the alarm come as after a commit, or sooner. Sets it only when none is set soon: moving an alarm
   * would make the next commit wait for it.
   */
  wake(milliseconds = this.#everyMs): void {
    if (this.#next !== "soon") this.arm(milliseconds);
  }

  arm(milliseconds = this.#everyMs): void {
    this.#next = "soon";
    // a failed write breaks the object, like any write
    void this.#storage.setAlarm(Date.now() + milliseconds);
  }

  /** Waits until the log has work again. Unfinished work is tried again soon. */
  rest(): void {
    const at = this.#idleUntil();
    this.#next = at === undefined ? "none" : "late";
    if (at !== undefined) void this.#storage.setAlarm(Math.max(at, Date.now() + RETRY_MS));
  }
}
