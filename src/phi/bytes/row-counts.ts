import type { Instant } from "#kernel/clock";

/**
 * The ways in which a row is judged. `bytes`: by the byte engine. The others are by the plain engine: `form`, the bytes
 * or the view are unusual; `judgement`, the decision reads more than facts; `versions`, two versions of a resource are
 * judged together; `deciding`, the row decides about an answer that may not show it; `included`, the rows that lead to
 * the row are known at the end of the page.
 */
export const waysToJudge = ["bytes", "form", "judgement", "versions", "deciding", "included"] as const;
export type WayToJudge = (typeof waysToJudge)[number];

export type RowsJudged = Readonly<Record<WayToJudge, number>>;

const everyMilliseconds = 60_000;
const none: RowsJudged = { bytes: 0, form: 0, judgement: 0, versions: 0, deciding: 0, included: 0 };

/** The numbers of rows that this isolate has judged, by the way. They say nothing about a request. */
export class RowCounts {
  #counts = { ...none };
  #since: Instant | undefined;

  count(way: WayToJudge): void {
    this.#counts[way] += 1;
  }

  /** The numbers since the last time that there were any, once a minute. */
  take(at: Instant): RowsJudged | undefined {
    this.#since ??= at;
    if (at - this.#since < everyMilliseconds) return undefined;
    const counts = this.#counts;
    this.#since = at;
    this.#counts = { ...none };
    return waysToJudge.some((way) => counts[way] > 0) ? counts : undefined;
  }
}

export const rowCounts: RowCounts = new RowCounts();
