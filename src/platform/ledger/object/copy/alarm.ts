import type { Instant } from "#kernel/clock";

export const RETRY_MS = 5_000;

/** The one alarm of a log's object: when it comes next. */
export class LedgerAlarm {
  readonly #storage: DurableObjectStorage;
  readonly #everyMs: number;
  readonly #idleUntil: () => Instant | undefined;
  #next: "soon" | "late" | "none" = "soon"; // until the start has looked

  /** `idleUntil`: when the alarm of a log comes that has nothing to do; undefined for never. */
  constructor(storage: DurableObjectStorage, everyMs: number, idleUntil: () => Instant | undefined) {
    this.#storage = storage;
    this.#everyMs = everyMs;
    this.#idleUntil = idleUntil;
  }

  /** Goes on from what an earlier incarnation set: a log that has nothing to do before has the alarm of its idle time at least. */
  async resume(): Promise<void> {
    const at = await this.#storage.getAlarm();
    this.#next = at === null ? "none" : at <= Date.now() + this.#everyMs ? "soon" : "late";
    if (at === null) this.rest();
  }

  /** Has it come as after a commit, or sooner. Sets it only when none is set soon: moving one would make the next commit wait for it. */
  wake(milliseconds = this.#everyMs): void {
    if (this.#next !== "soon") this.arm(milliseconds);
  }

  arm(milliseconds = this.#everyMs): void {
    this.#next = "soon";
    void this.#storage.setAlarm(Date.now() + milliseconds); // a write that fails breaks the object, like any other
  }

  /** Until the log has something to do again. What was to be done and was not is tried again soon. */
  rest(): void {
    const at = this.#idleUntil();
    this.#next = at === undefined ? "none" : "late";
    if (at !== undefined) void this.#storage.setAlarm(Math.max(at, Date.now() + RETRY_MS));
  }
}
