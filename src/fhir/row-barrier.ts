import { textAt, type JsonObject } from "#fhir/json/json";

/** A row by its own members, or by its type and id. */
type NamedRow = JsonObject | { readonly type: string; readonly id: string };

/** Rows that a request counts. A page of an origin has as many entries at most. */
const countedMax = 10_000;

/**
 * The barrier around each row of a request. A row whose judgement throws is hidden as every other hidden row, and
 * the answer goes on: its share of the work is spent (`RowShareSpent`), a value cannot be read, or the program has
 * an error. The request's records have the number of these rows.
 */
export class RowBarrier {
  readonly #report: (name: string) => void;
  readonly #reported = new Set<string>();
  readonly #rows = new Set<string>();
  readonly #onHidden: () => void;

  /**
   * @param report called once for each kind of fault, with its name and never with its message: the message may
   * quote data.
   * @param onHidden called once for each row
   */
  constructor(report: (name: string) => void = () => undefined, onHidden = (): void => undefined) {
    this.#report = report;
    this.#onHidden = onHidden;
  }

  /** The number of rows that could not be judged. */
  get unjudged(): number {
    return this.#rows.size;
  }

  /** Judges a row. @param hidden the judgement of a hidden row. */
  judge<T, H>(row: NamedRow, judge: () => T, hidden: H): T | H {
    try {
      return judge();
    } catch (fault) {
      this.hide(row, fault);
      return hidden;
    }
  }

  /** Counts a row whose judgement threw: its judge hides it. */
  hide(row: NamedRow, fault: unknown): void {
    const before = this.#rows.size;
    if (before < countedMax) this.#rows.add(keyOf(row));
    if (this.#rows.size > before) this.#onHidden();
    this.note(fault);
  }

  /** Notes a fault that hides no row: another engine judges the row. */
  note(fault: unknown): void {
    const name = fault instanceof Error ? fault.name : "unknown";
    if (this.#reported.has(name)) return;
    this.#reported.add(name);
    this.#report(name);
  }
}

function keyOf(row: NamedRow): string {
  const type = textAt(row, "resourceType") ?? textAt(row, "type");
  return `${type ?? ""}/${textAt(row, "id") ?? ""}`;
}
