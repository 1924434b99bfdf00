const shown = "[secret]";

/**
 * A value that cannot be printed: string conversion, JSON and `console.log` all show `[secret]`. Only
 * `reveal` gives it.
 */
export class Secret<T = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /**
   * The value itself: call it where it is used up (a key import, a header), never to store or to compare
   * with `===`.
   */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return shown;
  }
}
