/** A map that holds only its newest entries. An entry that is set again is the newest. */
export class Newest<Value> extends Map<string, Value> {
  readonly #max: number;

  constructor(max: number) {
    super();
    this.#max = max;
  }

  override set(key: string, value: Value): this {
    this.delete(key);
    if (this.size >= this.#max) this.delete(this.keys().next().value ?? "");
    return super.set(key, value);
  }
}

/**
 * Memoizes a function of a text, keeping the newest `max` answers. Use it only for answers that depend on
 * the text alone and are settled plain data, because all requests of an isolate share them. `max` times the
 * longest text bounds the memory.
 */
export function memo<Value>(max: number, make: (text: string) => Value): (text: string) => Value {
  const known = new Newest<Value>(max);
  return (text) => {
    const settled = known.get(text);
    if (settled !== undefined) return settled;
    const made = make(text);
    known.set(text, made);
    return made;
  };
}
