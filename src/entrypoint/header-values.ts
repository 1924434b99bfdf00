/** The header fields of a request as the gateway reads them. The runtime's `Headers` are such an object. */
export interface RequestHeaders extends Iterable<[string, string]> {
  /** @param name in lower case. The values of a repeated field are joined by a comma. */
  get(name: string): string | null;
  has(name: string): boolean;
}

/**
 * Header fields, read once: each further look into the runtime's `Headers` is a call of the runtime
 * (bench/history.md).
 */
export class HeaderValues implements RequestHeaders {
  readonly #values = new Map<string, string>();

  /** @param headers its `forEach` costs less than its iterator. */
  constructor(headers: Pick<Headers, "forEach">) {
    headers.forEach((value, name) => {
      const before = this.#values.get(name); // only `Set-Cookie` comes twice (Fetch Standard §5.2)
      this.#values.set(name, before === undefined ? value : `${before}, ${value}`);
    });
  }

  get(name: string): string | null {
    return this.#values.get(name) ?? null;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.#values.entries();
  }
}
