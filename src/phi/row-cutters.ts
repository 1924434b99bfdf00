import type { Facts, Sought } from "#fhir/json/facts";
import type { ResourceView } from "#policy/compile";
import type { Grant } from "#policy/grant";
import { EntryCutter } from "./bytes/entry-cutter.ts";
import type { Deciding } from "./bytes/isolate-cutter.ts";
import { RowCutter, wholeNeeded } from "./bytes/row-cutter.ts";
import { judgedWhole } from "./bytes/unusual.ts";
import type { NamedBases, RowViews } from "./row-views.ts";

/** The cutters of one answer, which cut rows in a pass over their bytes: one for each type of rows. */
export class RowCutters implements Deciding {
  readonly #grant: Grant;
  readonly #bases: NamedBases;
  readonly #rows: RowViews;
  readonly #rowCutters = new Map<string, RowCutter>();
  readonly #entryCutters = new Map<string, EntryCutter>();

  constructor(grant: Grant, bases: NamedBases, rows: RowViews) {
    this.#grant = grant;
    this.#bases = bases;
    this.#rows = rows;
  }

  get sought(): Sought | undefined {
    return this.#grant.sought();
  }

  get judgesNested(): boolean {
    return this.#grant.judgesNested;
  }

  /** The cutter of the entries of a searchset whose rows have this type. */
  ofEntries(type: string): EntryCutter {
    const known = this.#entryCutters.get(type);
    if (known !== undefined) return known;
    const usual = this.of(type, "search");
    const cutter = new EntryCutter(this.#bases, this, usual, (found, mode) =>
      mode === "include" ? this.of(found, "include") : undefined,
    );
    this.#entryCutters.set(type, cutter);
    return cutter;
  }

  /** @param isRow see `Discloser.cutterOf`. */
  of(
    type: string,
    part: "read" | "search" | "include",
    isRow: (facts: Facts) => boolean = () => true,
  ): RowCutter {
    const key = `${part} ${type}`;
    const known = this.#rowCutters.get(key);
    if (known !== undefined) return known;
    const { mustShow, mayNeed, needsOf, needsIncluded, needsWhole, timesAsked } = this.#grant;
    const { origin, residences } = this.#bases;
    const { mayLinkTo, viewInside } = part === "include" ? this.#rows.contextOf(type) : this.#rows.context;
    const cutter = new RowCutter(
      {
        policyDigest: this.#grant.policyDigest,
        lists: this.#grant,
        viewOf: (facts) => {
          if (part === "search" && !this.#rows.isFound(facts)) return undefined;
          const needed = needsWhole(facts, origin);
          if (needed !== undefined) throw needed === "whole" ? wholeNeeded : judgedWhole;
          if (!isRow(facts)) return undefined;
          return part === "include"
            ? this.#viewIncluded(facts)
            : this.#rows.narrow(this.#grant.viewOf(facts, origin));
        },
        needsOf: (facts) => {
          if (!mayNeed()) return undefined;
          const needs = part === "include" ? needsIncluded(facts, origin) : needsOf(facts, origin);
          if (needs === undefined || (part === "search" && !this.#rows.isFound(facts))) return undefined;
          // Targets say to whom the row belongs, so that it may have further needs, as a row with referred labels has. So
          // does the user's relation to a patient: the Consents of that patient come after it.
          const mayNeedMore = needs.targets.length > 0 || (needs.related?.length ?? 0) > 0;
          if (mayNeedMore || needsWhole(facts, origin) === "plain") throw judgedWhole;
          return needs;
        },
        timesAsked: (facts) => timesAsked(facts, origin),
        mustShow: (facts) => (part === "search" ? (mustShow?.(facts) ?? []) : []),
        note: (facts) => (isRow(facts) ? residences.note(facts) : undefined),
        mayLinkTo,
        deciding: this,
        viewInside: (resource, nesting) => {
          // A Consent of a patient inside judges the whole row.
          if (needsWhole(this.#rows.factsOf(resource), origin) !== undefined) throw judgedWhole;
          return viewInside(resource, nesting);
        },
      },
      this.#bases,
      type,
      part === "include" ? "include" : "match",
    );
    this.#rowCutters.set(key, cutter);
    return cutter;
  }

  /**
   * The view of an included resource by every include that could lead to it. Throws `judgedWhole` if the view by
   * some of them is a different view: it is known at the end of the page which of them do.
   */
  #viewIncluded(facts: Facts): ResourceView | undefined {
    const { includes, viewIncluded } = this.#grant;
    const { origin } = this.#bases;
    const names = new Set(includes.map(({ name }) => name));
    const view = viewIncluded(facts, origin, names);
    for (const name of names) {
      const viewBy = viewIncluded(facts, origin, new Set([name]));
      if (viewBy !== undefined && viewBy !== view) throw judgedWhole;
    }
    return view;
  }
}
