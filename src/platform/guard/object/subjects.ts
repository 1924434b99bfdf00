import { instant, type Clock, type Instant } from "#kernel/clock";
import { LeaseBook } from "#limits/lease";
import type { LeaseAnswer, LeaseCall } from "#limits/lease-call";
import { SubjectWindows } from "#limits/subject-windows";
import { GuardWindows } from "./windows.ts";

// One or two isolates see a user's requests. A share for more isolates would lie unspent.
const holders = 2;
// The least time between two searches for ended windows.
const alarmMilliseconds = 10_000;

/** The counts of many subjects of one client, in the storage of their guard. */
export class GuardSubjects {
  readonly #table: GuardWindows;
  readonly #windows: SubjectWindows;
  readonly #book: LeaseBook;
  readonly #storage: DurableObjectStorage;
  readonly #clock: Clock;
  #isAlarmSet = false;

  constructor(storage: DurableObjectStorage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
    this.#table = new GuardWindows(storage.sql, "subject_windows");
    this.#windows = new SubjectWindows(this.#table.all());
    this.#book = new LeaseBook(crypto.randomUUID(), this.#windows, holders);
  }

  /** Throws when there is no room for a further subject. */
  async lease(call: LeaseCall): Promise<LeaseAnswer> {
    const at = this.#clock();
    if (this.#windows.isFull) this.#forget(at);
    // the revocations come with the client's own lease
    const { answer, store } = this.#book.lease(call, at, at);
    if (store !== undefined) {
      this.#table.put(store);
      if (!this.#isAlarmSet) await this.#setAlarm(at);
    }
    return answer;
  }

  async alarm(): Promise<void> {
    const at = this.#clock();
    this.#isAlarmSet = false;
    this.#forget(at);
    await this.#setAlarm(at);
  }

  #forget(at: Instant): void {
    const { forgotten, kept } = this.#windows.forgetEnded(at);
    for (const key of forgotten) this.#table.drop(key);
    for (const row of kept) this.#table.put(row);
  }

  /** A guard that is no longer used deletes its subjects too. */
  async #setAlarm(at: Instant): Promise<void> {
    const { nextEnd } = this.#windows;
    if (nextEnd === undefined) return;
    this.#isAlarmSet = true;
    await this.#storage.setAlarm(Math.max(nextEnd, instant(at + alarmMilliseconds)));
  }
}
