import type { Pages } from "./search/pages.ts";
import type { Store } from "./store.ts";

/** The data and settings that the interactions use. */
export interface Site {
  readonly store: Store;
  readonly pages: Pages;
  /**
   * The status for a write to a version that is not current: as in R4 http.html#concurrency, or as in HAPI.
   */
  readonly staleVersion: 412 | 409;
}
