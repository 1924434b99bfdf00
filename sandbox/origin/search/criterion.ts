import type { Stored } from "../stored.ts";

/** One `name=value` of a search: what a resource must meet (R4 §3.1.1.4). */
export interface Criterion {
  readonly meets: (resource: object) => boolean;
  /** Where an index or a join knows all that can meet it; asked at most once, when the search is run. */
  readonly candidates?: () => Iterable<Stored>;
}

/** Why the origin does not take a search: strictly, nothing is ignored (R4 §3.1.1.3, `Prefer: handling=strict`). */
export type SearchRefusal = {
  readonly reason: "parameter_unknown" | "unsupported" | "bad_value";
  readonly text: string;
};
