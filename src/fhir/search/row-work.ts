/**
 * Judging a row costs more than a row's share of the request's work. The work budget throws this error while the row is
 * judged; the barrier around the row (fhir/row-barrier) hides the row, and the answer goes on.
 */
export class RowShareSpent extends Error {
  override readonly name = "RowShareSpent";
}

/**
 * The units of work for the judgement of one row. The share is a constant of every answer: a share that depended on the
 * neighbours of a row would let a hidden row make a visible row vanish. A row with 30,000 dates, 20,000 references,
 * 60,000 codes or a text of 100,000 characters for one parameter is judged by the units below. A request has no total in
 * units: the rows of a page (1,000 at most) times the share bound the work of a request.
 */
export const rowShare = 1_048_576;

/**
 * Units of work for one value of a row. The values are read once, and a text that is folded costs a unit for each
 * character. Work that each parameter of a question does anew costs more: `sign` is a character of a text that is searched
 * through, and `item` an item that is compared with the parts of composite values. The dearest row of a question of 64
 * parameters takes some 5 ms of CPU by these units, and a page of 1,000 such rows some 5 s.
 */
export const workOf = {
  value: 1,
  key: 16,
  reference: 24,
  date: 32,
  comparison: 8,
  sign: 8,
  item: 24,
} as const;

/** The work on a row: the values that were read from it, each once, and their cost. */
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

  /** The value that a judge kept under this key. */
  read(key: object): object | undefined {
    return this.#lastKey === key ? this.#last : this.#kept?.get(key);
  }

  /** Keeps a value that a judge read from the row, under a key of the judge's own, for each later question. */
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
