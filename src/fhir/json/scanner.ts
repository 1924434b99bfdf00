/**
 * The thing that begins or ends with a byte: the name of a member, a string value, an object or a list.
 */
export type ScanStep =
  | "none"
  | "name begins"
  | "name ends"
  | "text begins"
  | "text ends"
  | "opens"
  | "closes"
  | "fault";

type NumberState =
  | "minus"
  | "zero"
  | "digits"
  | "point"
  | "fraction"
  | "exponent"
  | "exponent sign"
  | "exponent digits";

type State =
  | "value"
  | "value or end"
  | "name"
  | "name or end"
  | "colon"
  | "comma or end"
  | "string"
  | "escape"
  | "hex"
  | "literal"
  | "whole"
  | NumberState;

// Ten thousand times deeper than any resource; each level takes a flag of a byte.
const depthMax = 1_000_000;

const literals: Readonly<Record<number, string>> = { 0x74: "true", 0x66: "false", 0x6e: "null" };
const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const isHex = (byte: number) => isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
const escapes: ReadonlySet<number> = new Set(Array.from('"\\/bfnrt', (sign) => sign.charCodeAt(0)));

/**
 * Checks JSON text (RFC 8259) byte by byte without storing it: for text that is too large or too deep to be
 * read, but whose end must be certain. It accepts exactly the texts that `JSON.parse` accepts. It does not
 * check that the bytes are UTF-8.
 */
export class JsonScanner {
  /** A flag for each open object or list: true for an object. */
  #open = new Uint8Array(64);
  #state: State = "value";
  #isName = false;
  #left = 0;
  #literal = "";
  depth = 0;

  /**
   * True if the text is a whole value. A number ends only with the next byte, so a top-level number needs a
   * byte after it.
   */
  get isWhole(): boolean {
    return this.#state === "whole";
  }

  /** True after a comma: the next member of the same object follows. */
  get isBehindComma(): boolean {
    return this.#state === "name";
  }

  /** @returns "fault": this byte is invalid here. The scanner must not be used any more. */
  step(byte: number): ScanStep {
    switch (this.#state) {
      case "string":
        return this.#inString(byte);
      case "escape":
        if (byte === 0x75) return this.#hex();
        return escapes.has(byte) ? this.#to("string") : "fault";
      case "hex":
        this.#left -= 1;
        if (!isHex(byte)) return "fault";
        return this.#left === 0 ? this.#to("string") : "none";
      case "literal":
        if (byte !== this.#literal.charCodeAt(this.#literal.length - this.#left)) return "fault";
        this.#left -= 1;
        return this.#left === 0 ? this.#ended("none") : "none";
      case "value":
      case "value or end":
        return this.#inValue(byte);
      case "name":
      case "name or end":
        if (isSpace(byte)) return "none";
        if (byte === 0x7d && this.#state === "name or end") return this.#closed();
        if (byte !== 0x22) return "fault";
        this.#isName = true;
        this.#state = "string";
        return "name begins";
      case "colon":
        if (isSpace(byte)) return "none";
        return byte === 0x3a ? this.#to("value") : "fault";
      case "comma or end":
        return this.#behindValue(byte);
      case "whole":
        return isSpace(byte) ? "none" : "fault";
      case "minus":
      case "zero":
      case "digits":
      case "point":
      case "fraction":
      case "exponent":
      case "exponent sign":
      case "exponent digits":
        return this.#inNumber(this.#state, byte);
    }
  }

  #to(state: State): "none" {
    this.#state = state;
    return "none";
  }

  #hex(): "none" {
    this.#left = 4;
    return this.#to("hex");
  }

  #inString(byte: number): ScanStep {
    if (byte === 0x5c) return this.#to("escape");
    if (byte < 0x20) return "fault";
    if (byte !== 0x22) return "none";
    if (!this.#isName) return this.#ended("text ends");
    this.#isName = false;
    this.#state = "colon";
    return "name ends";
  }

  #inValue(byte: number): ScanStep {
    if (isSpace(byte)) return "none";
    if (byte === 0x5d && this.#state === "value or end") return this.#closed();
    if (byte === 0x7b || byte === 0x5b) return this.#opened(byte === 0x7b);
    const literal = literals[byte];
    if (byte === 0x22) {
      this.#state = "string";
      return "text begins";
    }
    if (byte === 0x2d) return this.#to("minus");
    if (isDigit(byte)) return this.#to(byte === 0x30 ? "zero" : "digits");
    if (literal === undefined) return "fault";
    [this.#literal, this.#left] = [literal, literal.length - 1];
    return this.#to("literal");
  }

  #opened(isObject: boolean): ScanStep {
    if (this.depth === depthMax) return "fault";
    if (this.depth === this.#open.length) {
      const open = new Uint8Array(2 * this.#open.length);
      open.set(this.#open);
      this.#open = open;
    }
    this.#open[this.depth] = isObject ? 1 : 0;
    this.depth += 1;
    this.#state = isObject ? "name or end" : "value or end";
    return "opens";
  }

  #closed(): ScanStep {
    this.depth -= 1;
    this.#state = this.depth === 0 ? "whole" : "comma or end";
    return "closes";
  }

  #ended(step: ScanStep): ScanStep {
    this.#state = this.depth === 0 ? "whole" : "comma or end";
    return step;
  }

  #behindValue(byte: number): ScanStep {
    if (isSpace(byte)) return "none";
    const isObject = this.#open[this.depth - 1] === 1;
    if (byte === 0x2c) return this.#to(isObject ? "name" : "value");
    return byte === (isObject ? 0x7d : 0x5d) ? this.#closed() : "fault";
  }

  #inNumber(state: NumberState, byte: number): ScanStep {
    const next = nextOfNumber(state, byte);
    if (next === "fault") return "fault";
    if (next !== "ends") return this.#to(next);
    // The number ended before this byte, which closes its parent, or continues it.
    this.#ended("none");
    return this.step(byte);
  }
}

function nextOfNumber(state: NumberState, byte: number): NumberState | "ends" | "fault" {
  const isExponent = (byte | 0x20) === 0x65;
  switch (state) {
    case "minus":
      return byte === 0x30 ? "zero" : isDigit(byte) ? "digits" : "fault";
    case "zero":
    case "digits":
      if (isDigit(byte)) return state === "digits" ? "digits" : "fault";
      return byte === 0x2e ? "point" : isExponent ? "exponent" : "ends";
    case "point":
      return isDigit(byte) ? "fraction" : "fault";
    case "fraction":
      return isDigit(byte) ? "fraction" : isExponent ? "exponent" : "ends";
    case "exponent":
      if (byte === 0x2b || byte === 0x2d) return "exponent sign";
      return isDigit(byte) ? "exponent digits" : "fault";
    case "exponent sign":
      return isDigit(byte) ? "exponent digits" : "fault";
    case "exponent digits":
      return isDigit(byte) ? "exponent digits" : "ends";
  }
}

/** True if the bytes are a single JSON value, at any depth. */
export function isJson(bytes: Uint8Array): boolean {
  const scanner = new JsonScanner();
  for (const byte of bytes) if (scanner.step(byte) === "fault") return false;
  if (!scanner.isWhole) scanner.step(0x20); // ends a number
  return scanner.isWhole;
}
