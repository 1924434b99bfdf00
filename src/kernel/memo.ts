/**
 * A map that holds only its newest entries: so many, and of no more weight together. An entry that is set again is the
 * newest.
 */
export class Newest<Value, Key = string> extends Map<Key, Value> {
  readonly #max: number;
  readonly #weightMax: number;
  readonly #weigh: (value: Value, key: Key) => number;
  #weight = 0;

  /** @param weigh for entries of unequal size, about their bytes. An entry has one weight until it is deleted. */
  constructor(max: number, weightMax = Infinity, weigh: (value: Value, key: Key) => number = () => 0) {
    super();
    this.#max = max;
    this.#weightMax = weightMax;
    this.#weigh = weigh;
  }

  override set(key: Key, value: Value): this {
    this.delete(key);
    super.set(key, value);
    this.#weight += this.#weigh(value, key);
    for (const oldest of this.keys()) {
      if (this.size <= this.#max && this.#weight <= this.#weightMax) break;
      this.delete(oldest);
    }
    return this;
  }

  override delete(key: Key): boolean {
    const value = this.get(key);
    if (value !== undefined) this.#weight -= this.#weigh(value, key);
    return super.delete(key);
  }

  override clear(): void {
    super.clear();
    this.#weight = 0;
  }
}

/**
 * Values by an object and a text, while the object lives. A set beyond `max`, counted over all objects, forgets all
 * of them: a client may choose the texts.
 */
export class OfObjects<Value> {
  readonly #max: number;
  #values = new WeakMap<object, Map<string, Value>>();
  #sets = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get(object: object, text: string): Value | undefined {
    return this.#values.get(object)?.get(text);
  }

  set(object: object, text: string, value: Value): void {
    if (this.#sets >= this.#max) [this.#values, this.#sets] = [new WeakMap(), 0];
    this.#sets += 1;
    const values = this.#values.get(object);
    if (values === undefined) this.#values.set(object, new Map([[text, value]]));
    else values.set(text, value);
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
