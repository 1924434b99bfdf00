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
    const weight = this.#weigh(value, key);
    if (weight > this.#weightMax) return this; // it would drive out all other entries, and then itself
    super.set(key, value);
    this.#weight += weight;
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
 * Values by an object and a text, while the object lives. A client may choose the texts, so the weight of all objects'
 * values together is bounded: by a half that is filled, and the half before it, whose values stay if they are used.
 */
export class OfObjects<Value> {
  readonly #halfMax: number;
  readonly #weigh: (value: Value) => number;
  #values = new WeakMap<object, Map<string, Value>>();
  #before = new WeakMap<object, Map<string, Value>>();
  #weight = 0;

  constructor(max: number, weigh: (value: Value) => number = () => 1) {
    this.#halfMax = max / 2;
    this.#weigh = weigh;
  }

  get(object: object, text: string): Value | undefined {
    const known = this.#values.get(object)?.get(text);
    if (known !== undefined) return known;
    const used = this.#before.get(object)?.get(text);
    if (used !== undefined) this.set(object, text, used);
    return used;
  }

  set(object: object, text: string, value: Value): void {
    const weight = this.#weigh(value);
    if (this.#weight + weight > this.#halfMax)
      [this.#before, this.#values, this.#weight] = [this.#values, new WeakMap(), 0];
    this.#weight += weight;
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
