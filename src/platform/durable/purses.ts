import type { Clock } from "#kernel/clock";
import type { Spend } from "#limits/ports";
import { emptyPurse, type Purse } from "#limits/purse";

// A purse is some 500 bytes. What one that is pushed out held counts as spent.
const pursesMax = 2_000;

/** The isolate's purses, one for each quota of each client, the least lately used pushed out first. */
export class Purses {
  readonly #purses = new Map<string, Purse>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(quota: Spend): Purse {
    return this.#purses.get(keyOf(quota)) ?? emptyPurse(this.#clock());
  }

  set(quota: Spend, purse: Purse): void {
    const key = keyOf(quota);
    this.#purses.delete(key);
    this.#purses.set(key, purse);
    if (this.#purses.size > pursesMax) this.#purses.delete(this.#purses.keys().next().value ?? "");
  }
}

const keyOf = ({ client, key }: Spend): string => `${client} ${key}`; // a client's id has no space
