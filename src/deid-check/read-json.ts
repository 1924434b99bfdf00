/** A JSON value with every member that its text has, repeated names too. A number is its text. */
export type ReadValue =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "word"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly ReadValue[] }
  | { readonly kind: "object"; readonly members: readonly (readonly [name: string, value: ReadValue])[] };

const depthMax = 100;
const blank = /[ \t\r\n]*/uy;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/uy;
const word = /true|false|null/uy;
// oxlint-disable-next-line no-control-regex -- RFC 8259 §7 refuses these characters
const quoted = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;

/**
 * Reads RFC 8259 JSON by a reader of its own. Undefined: the text is no JSON, or is deeper than 100.
 */
export function readLeftJson(text: string): ReadValue | undefined {
  const reader = new Reader(text);
  const value = reader.value(0);
  return reader.isAtEnd() ? value : undefined;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  isAtEnd(): boolean {
    this.#take(blank);
    return this.#at === this.#text.length;
  }

  value(depth: number): ReadValue | undefined {
    if (depth > depthMax) return undefined;
    this.#take(blank);
    const first = this.#text.charAt(this.#at);
    if (first === "{") return this.#object(depth);
    if (first === "[") return this.#list(depth);
    if (first === '"') return this.#quoted();
    const digits = this.#take(number);
    if (digits !== undefined) return { kind: "number", text: digits };
    const name = this.#take(word);
    return name === undefined ? undefined : { kind: "word", text: name };
  }

  #quoted(): ReadValue | undefined {
    const source = this.#take(quoted);
    return source === undefined ? undefined : { kind: "text", text: unescaped(source.slice(1, -1)) };
  }

  #object(depth: number): ReadValue | undefined {
    const members: (readonly [string, ReadValue])[] = [];
    const isWhole = this.#separated("}", () => {
      this.#take(blank);
      const name = this.#quoted();
      if (name?.kind !== "text" || !this.#sign(":")) return false;
      const value = this.value(depth + 1);
      if (value !== undefined) members.push([name.text, value]);
      return value !== undefined;
    });
    return isWhole ? { kind: "object", members } : undefined;
  }

  #list(depth: number): ReadValue | undefined {
    const items: ReadValue[] = [];
    const isWhole = this.#separated("]", () => {
      const item = this.value(depth + 1);
      if (item !== undefined) items.push(item);
      return item !== undefined;
    });
    return isWhole ? { kind: "list", items } : undefined;
  }

  /** Reads parts with commas between them up to the closing sign. */
  #separated(end: string, part: () => boolean): boolean {
    this.#at += 1;
    if (this.#sign(end)) return true;
    do if (!part()) return false;
    while (this.#sign(","));
    return this.#sign(end);
  }

  #sign(sign: string): boolean {
    this.#take(blank);
    if (this.#text.charAt(this.#at) !== sign) return false;
    this.#at += 1;
    return true;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.#text) ?? [];
    if (found !== undefined) this.#at += found.length;
    return found;
  }
}

const escapes: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

const unescaped = (source: string): string =>
  source.replaceAll(/\\(?:u(?<hex>[0-9a-fA-F]{4})|(?<sign>.))/gu, (_, hex?: string, sign = "") =>
    hex === undefined ? (escapes[sign] ?? sign) : String.fromCharCode(Number.parseInt(hex, 16)),
  );

/** The resources of a Bundle's entries, or the resource itself. */
export function insideOf(value: ReadValue): readonly ReadValue[] {
  const entry = value.kind === "object" ? value.members.find(([name]) => name === "entry")?.[1] : undefined;
  if (entry?.kind !== "list") return [value];
  return entry.items.flatMap((item) =>
    item.kind === "object" ? item.members.flatMap(([name, each]) => (name === "resource" ? [each] : [])) : [],
  );
}
