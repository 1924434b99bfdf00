import { isArray, isObject, type Json, type JsonObject } from "#fhir/json/json";
import type { Tape } from "../../policy/small-world.ts";

/**
 * JSON of a value as a hostile but correct server may spell it: members in any order, white space in any
 * place, characters and names as escapes. `faults`: and sometimes not correct (a repeated member, a cut, a
 * strange byte).
 */
export function spelled(value: Json, tape: Tape, faults: boolean): string {
  const text = new Speller(tape, faults).value(value);
  if (!faults || tape.below(6) !== 1) return text;
  const at = tape.below(text.length);
  return tape.of(
    text.slice(0, at),
    `${text.slice(0, at)}${tape.of("\u0000", "}", "]", ",", '"', "\\", "\ufeff", "1")}${text.slice(at)}`,
    text.slice(0, at) + text.slice(at + 1),
  );
}

class Speller {
  readonly #tape: Tape;
  readonly #faults: boolean;
  /** Rarely, so that most of a text is usual. */
  readonly #isPlain: boolean;

  constructor(tape: Tape, faults: boolean) {
    this.#tape = tape;
    this.#faults = faults;
    this.#isPlain = tape.below(3) > 0;
  }

  value(value: Json): string {
    if (isArray(value)) return `[${this.#joined(value.map((item) => this.value(item)))}]`;
    if (isObject(value)) return `{${this.#joined(this.#members(value))}}`;
    return typeof value === "string" ? this.#text(value) : JSON.stringify(value);
  }

  #members(value: JsonObject): readonly string[] {
    const names = Object.keys(value);
    // type, id and labels late
    if (this.#tape.below(3) === 1) names.reverse();
    else if (this.#tape.below(4) === 1) names.sort();
    const members = names.map(
      (name) => `${this.#text(name)}${this.#space()}:${this.#space()}${this.value(value[name] ?? null)}`,
    );
    if (this.#faults && this.#tape.below(60) === 1)
      members.push(members[this.#tape.below(members.length)] ?? "");
    return members;
  }

  #joined(parts: readonly string[]): string {
    return parts.map((part) => `${this.#space()}${part}${this.#space()}`).join(",");
  }

  #space(): string {
    return this.#isPlain ? "" : this.#tape.of("", "", "", "", " ", "\n", "\t\r");
  }

  #text(text: string): string {
    const written = JSON.stringify(text);
    if (this.#isPlain && this.#tape.below(30) !== 1) return written;
    if (text === "" || this.#tape.below(8) !== 1) return written;
    const at = this.#tape.below(text.length);
    const unit = text.charCodeAt(at).toString(16).padStart(4, "0");
    const part = (from: number, to?: number) => JSON.stringify(text.slice(from, to)).slice(1, -1);
    const escape = this.#tape.of(`\\u${unit}`, `\\u${unit.toUpperCase()}`);
    return `"${part(0, at)}${escape}${part(at + 1)}"`;
  }
}
