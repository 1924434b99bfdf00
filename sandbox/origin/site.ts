import type { Pages } from "./search/pages.ts";
import type { Store } from "./store.ts";

/** What the interactions work on. */
export interface Site {
  readonly store: Store;
  readonly pages: Pages;
  /** How a write to another version than the current is refused: as R4 http.html#concurrency says, or as HAPI does. */
  readonly staleVersion: 412 | 409;
}
