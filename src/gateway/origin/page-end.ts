import { objectAt, textAt, type JsonObject } from "#fhir/json/json";
import type { OriginCapabilities } from "#fhir/ports";
import { grownMax } from "#fhir/search/page-count";

// A server of which the entry says nothing gives fifty rows at least, if a list has so many.
const unstatedMax = 50;

/**
 * The rows of a page that a server without paging links does not cut, as it was measured. If its entry says only that
 * there are no links, no row is known to be the last of its list.
 */
export const wholePageMax = ({ pageLinks, pageMax }: OriginCapabilities = {}): number =>
  Math.min(pageMax ?? (pageLinks === false ? 1 : unstatedMax), grownMax);

/**
 * Answers whether rows may stand behind an answer without a link to a next page. A server that sends more rows than were
 * asked for does not heed the number, so it ends a list at its own longest page alone.
 *
 * @param count the rows that were asked for. @param sent the rows of the answer. @param hasLinks an answer had a link.
 */
export const mayBeCut = (
  { count, sent, hasLinks }: { readonly count: number; readonly sent: number; readonly hasLinks: boolean },
  capabilities: OriginCapabilities = {},
): boolean => !(capabilities.pageLinks ?? hasLinks) && (sent === count || sent >= wholePageMax(capabilities));

/** A row by its time of the last change. */
export interface RowPlace {
  readonly key: string;
  readonly time: string;
}

/** The matches of an answer that was asked for in the order of their last changes, from a row on. */
export class RowTimes {
  readonly from: RowPlace | undefined;
  #at: number;
  #isInOrder = true;
  #hasFirst: boolean;
  #last: RowPlace | undefined;

  /** @param from the last row of the answer before: the answer begins with the rows of its time. */
  constructor(from: RowPlace | undefined) {
    this.from = from;
    this.#at = from === undefined ? Number.NEGATIVE_INFINITY : Date.parse(from.time);
    this.#hasFirst = from === undefined;
  }

  see(row: JsonObject, key: string): void {
    const time = textAt(objectAt(row, "meta") ?? row, "lastUpdated") ?? "";
    const at = Date.parse(time);
    this.#isInOrder &&= at >= this.#at;
    this.#at = at;
    this.#hasFirst ||= key === this.from?.key;
    this.#last = { key, time };
  }

  /** The server kept to the order and to the time, and left no row out between two answers. */
  get isSound(): boolean {
    return this.#isInOrder && this.#hasFirst;
  }

  /** The last row. Undefined: no question leads behind it. */
  get last(): RowPlace | undefined {
    const isFurther = this.from === undefined || this.#at > Date.parse(this.from.time);
    return this.isSound && isFurther ? this.#last : undefined;
  }
}
