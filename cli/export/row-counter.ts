import { basename } from "node:path";
import { resourceBytesMax } from "#fhir/json/json";
import { isPlainObject } from "#kernel/plain-object";

const newline = 0x0a;

/** Counts the lines of NDJSON, and throws for a line that is no resource of the type. No text has a line's content. */
export class RowCounter {
  readonly #name: string;
  readonly #type: string;
  #begun: Buffer[] = [];
  #begunBytes = 0;
  #lines = 0;
  #rows = 0;

  constructor(path: string, type: string) {
    this.#name = basename(path);
    this.#type = type;
  }

  /** @returns the number of whole rows so far */
  add(chunk: Buffer): number {
    let from = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      this.#take(chunk.subarray(from, end));
      this.#endLine();
      from = end + 1;
    }
    this.#take(chunk.subarray(from));
    return this.#rows;
  }

  /** @returns the number of rows */
  end(): number {
    if (this.#begunBytes > 0) this.#endLine();
    return this.#rows;
  }

  #take(bytes: Buffer): void {
    this.#begun.push(bytes);
    this.#begunBytes += bytes.length;
    if (this.#begunBytes > resourceBytesMax)
      throw new Error(`${this.#name}: line ${this.#lines + 1} is too long`);
  }

  #endLine(): void {
    const line = Buffer.concat(this.#begun).toString("utf8").trim();
    this.#begun = [];
    this.#begunBytes = 0;
    this.#lines += 1;
    if (line === "") return;
    this.#rows += 1;
    if (typeIn(line) !== this.#type)
      throw new Error(`${this.#name}: line ${this.#lines} is no ${this.#type}: run the command again`);
  }
}

function typeIn(line: string): unknown {
  try {
    const row: unknown = JSON.parse(line);
    return isPlainObject(row) ? row["resourceType"] : undefined;
  } catch {
    return undefined;
  }
}
