/**
 * The ways in which a row is judged. `bytes`: by the byte engine. The others are by the plain engine: `form`, the bytes
 * or the view are unusual; `judgement`, the decision reads more than facts; `versions`, two versions of a resource are
 * judged together; `deciding`, the row decides about an answer that may not show it; `included`, the rows that lead to
 * the row are known at the end of the page. `unjudged`: the judgement failed, and the row is hidden.
 */
export type WayToJudge = "bytes" | "form" | "judgement" | "versions" | "deciding" | "included" | "unjudged";

/** The numbers of rows that this isolate has judged, by the way. They say nothing about a request. */
export class RowCounts {
  #counts = new Map<WayToJudge, number>();

  count(way: WayToJudge): void {
    this.#counts.set(way, (this.#counts.get(way) ?? 0) + 1);
  }

  /** The numbers since the last call. */
  take(): ReadonlyMap<WayToJudge, number> {
    const counts = this.#counts;
    this.#counts = new Map();
    return counts;
  }
}

export const rowCounts: RowCounts = new RowCounts();
