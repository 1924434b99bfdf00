import { RowShareSpent } from "./row-share-spent.ts";

/**
 * The units of work for the judgement of one row. The share is a constant of every answer: a share that depended on the
 * neighbours of a row would let a hidden row make a visible row vanish. By the units below a row with 30,000 dates,
 * 40,000 references, 60,000 codes or a text of 500,000 characters for one parameter is judged. Only the bytes of a page
 * bound the number of dear rows: a request has no total in units.
 */
export const rowShare = 1_048_576;

/** Units of work for one value of a row. A text that is folded or searched costs a unit for each character. */
export const workOf = { value: 1, key: 16, reference: 24, date: 32, comparison: 8 } as const;

/** The work on one row: what was read from it, each value once, and what that cost. */
export class RowWork {
  #kept: Map<object, object> | undefined;
  #lastKey: object | undefined;
  #last: object | undefined;
  #spent = 0;

  get spent(): number {
    return this.#spent;
  }

  /** Throws {@link RowShareSpent} once the row has cost more than its share. */
  spend(units: number): void {
    this.#spent += units;
    if (this.#spent > rowShare) throw new RowShareSpent();
  }

  /** What a judge kept under this key. */
  read(key: object): object | undefined {
    return this.#lastKey === key ? this.#last : this.#kept?.get(key);
  }

  /** Keeps what a judge read from the row, under a key of the judge's own, for each later question. */
  keep<Value extends object>(key: object, value: Value): Value {
    if (this.#lastKey !== undefined && this.#last !== undefined)
      (this.#kept ??= new Map()).set(this.#lastKey, this.#last);
    [this.#lastKey, this.#last] = [key, value];
    return value;
  }

  once<Value extends object>(key: object, read: () => Value): Value {
    return (this.read(key) as Value | undefined) ?? this.keep(key, read());
  }
}
