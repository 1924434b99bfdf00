import type { Instant } from "#kernel/clock";
import { type InstrumentName, type instruments, type Series, seriesOf, type Traffic } from "./instruments.ts";
import { type Wait, waitLimits } from "./isolate-labels.ts";

/** The instruments of numbers without a record. */
export type IsolateInstrument = {
  [Name in InstrumentName]: (typeof instruments)[Name]["isExact"] extends true ? never : Name;
}[InstrumentName];

const everyMilliseconds = 5_000;

/**
 * The numbers without a record that this isolate counted since it last handed them on. They go with an append that is
 * made anyway, and each goes once: an isolate that ends, or an append without an answer, loses the last seconds.
 * While the ledger does not answer they wait.
 */
export class IsolateNumbers {
  #numbers = new Map<Series, number>();
  #handedAt: Instant | undefined;
  #isAnswered = true; // the last append
  readonly #gather: (numbers: IsolateNumbers) => void;

  /** @param gather adds what is counted elsewhere, before the numbers are handed on */
  constructor(gather: (numbers: IsolateNumbers) => void = () => undefined) {
    this.#gather = gather;
  }

  add(instrument: IsolateInstrument, labels: readonly string[], n = 1): void {
    this.#add(seriesOf(instrument, labels), n);
  }

  /** Counts a time. A clock that was set back meanwhile makes it 0. */
  waited(wait: Wait, milliseconds: number): void {
    const time = Math.max(0, Math.round(milliseconds));
    const limit = waitLimits.find((most) => time <= most);
    this.add("phylax_wait_seconds", [wait, String(limit ?? "above")]);
    if (time > 0) this.add("phylax_wait_seconds", [wait, "sum"], time);
  }

  /** The numbers for the next append, at most every five seconds; undefined: none. */
  take(at: Instant): Traffic | undefined {
    this.#handedAt ??= at;
    const isEarly = Math.abs(at - this.#handedAt) < everyMilliseconds; // a clock may be set back
    if (isEarly || !this.#isAnswered) return undefined;
    this.#gather(this);
    if (this.#numbers.size === 0) return undefined;
    const numbers = this.#numbers;
    this.#numbers = new Map();
    this.#handedAt = at;
    return numbers;
  }

  /** The log recorded nothing, so it has none of the numbers. */
  putBack(numbers: Traffic): void {
    for (const [series, n] of numbers) this.#add(series, n);
  }

  /** `milliseconds`: of the append with all its tries; undefined: it failed. */
  appended(milliseconds: number | undefined): void {
    this.#isAnswered = milliseconds !== undefined;
    if (milliseconds !== undefined) this.waited("append", milliseconds);
  }

  #add(series: Series, n: number): void {
    this.#numbers.set(series, (this.#numbers.get(series) ?? 0) + n);
  }
}
