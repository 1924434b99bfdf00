import { consentAuthorities, type ConsentAuthority } from "./store.ts";

/**
 * Turns at D1 for the changes of Consents, few at once: the patients' own denials and withdrawals come first, then the
 * consent registrars, then all other clients. So a flood of changes delays no patient's change.
 */
export class FilingTurns {
  readonly #atOnce: number;
  readonly #waiting = new Map<ConsentAuthority, (() => void)[]>();
  #running = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** Calls within a Durable Object may wait for each other: the runtime treats the calls as a single context. */
  async run<T>(authority: ConsentAuthority, write: () => Promise<T>): Promise<T> {
    if (this.#running < this.#atOnce) this.#running += 1;
    else await this.#turn(authority);
    try {
      return await write();
    } finally {
      const next = consentAuthorities.flatMap((each) => this.#waiting.get(each)?.slice(0, 1) ?? []);
      if (next[0] === undefined) this.#running -= 1;
      else next[0]();
    }
  }

  #turn(authority: ConsentAuthority): Promise<void> {
    const waiting = this.#waiting.get(authority) ?? [];
    this.#waiting.set(authority, waiting);
    return new Promise((resolve) => {
      waiting.push(() => {
        waiting.shift();
        resolve();
      });
    });
  }
}
