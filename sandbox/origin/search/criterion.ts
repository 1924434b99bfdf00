import type { Stored } from "../stored.ts";

/** One `name=value` of a search: a condition on a resource (R4 §3.1.1.4). */
export interface Criterion {
  readonly meets: (resource: object) => boolean;
  /**
   * Every resource that can meet it, if an index or a join knows them. It is called at most once, when the
   * search runs.
   */
  readonly candidates?: () => Iterable<Stored>;
}

/**
 * The reason why the origin refuses a search: it is strict and ignores no parameter (R4 §3.1.1.3, `Prefer:
 * handling=strict`).
 */
export type CriterionRefusal = {
  readonly reason: "parameter_unknown" | "unsupported" | "bad_value";
  readonly text: string;
};
