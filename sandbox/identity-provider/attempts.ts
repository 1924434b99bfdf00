import { createHash } from "node:crypto";

const freeAttempts = 3;
const firstWaitSeconds = 4;
const waitSecondsMax = 900;

/**
 * Slows the guessing of passwords. After three wrong passwords a name waits four seconds, after each further
 * attempt twice as long, up to a quarter of an hour. Unknown names are treated alike, so the wait discloses
 * nothing. Names share 65,536 counters, so a flood fills no memory.
 */
export class Attempts {
  readonly #wrong = new Map<number, { readonly count: number; readonly freeAt: number }>();

  /**
   * Counts an attempt as wrong until it is proven right. Returns 0, or the number of seconds to wait: no
   * credential may be checked then.
   */
  begin(login: string, atMilliseconds: number): number {
    const name = counterOf(login);
    const { count, freeAt } = this.#wrong.get(name) ?? { count: 0, freeAt: 0 };
    if (atMilliseconds < freeAt) return Math.ceil((freeAt - atMilliseconds) / 1000);
    const waitSeconds =
      count + 1 < freeAttempts
        ? 0
        : Math.min(firstWaitSeconds * 2 ** (count + 1 - freeAttempts), waitSecondsMax);
    this.#wrong.set(name, { count: count + 1, freeAt: atMilliseconds + waitSeconds * 1000 });
    return 0;
  }

  succeeded(login: string): void {
    this.#wrong.delete(counterOf(login));
  }
}

const counterOf = (login: string): number => createHash("sha256").update(login).digest().readUInt16BE();
