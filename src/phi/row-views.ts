import type { Facts } from "#fhir/json/facts";
import { textAt, type JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { meets as meetsCriteria } from "#fhir/search/criteria";
import { matchesSearch } from "#fhir/search/match";
import type { ResourceView } from "#policy/compile";
import { factsFor } from "#policy/facts";
import type { Grant } from "#policy/grant";
import type { Residences } from "#residence/row-residences";
import type { TallySetting } from "./disclosure.ts";
import { isFoundWithout, leavingFor } from "./labelled-parts.ts";
import { referredAt } from "./links.ts";
import { narrowView } from "./narrow-view.ts";
import { originUrls } from "./origin-urls.ts";
import type { RedactContext } from "./redact.ts";
import type { GuardedBases } from "./origin-urls.ts";

/**
 * The two addresses of an origin's FHIR base, its name in the registry, the store for its patients' residence, and
 * the barrier around each of its rows.
 */
export type NamedBases = GuardedBases & TallySetting & { readonly residences: Residences };

/**
 * The resources that a join found, as `Type/id`, and the paths by which a row must refer to one; without
 * paths the row must be one of them.
 */
export interface Joined {
  readonly paths: readonly (readonly string[])[] | undefined;
  readonly among: ReadonlySet<string>;
}

/** Checked here because an origin may have ignored the condition. */
function meets(row: Facts, { paths, among }: Joined, base: FhirBase): boolean {
  if (paths === undefined) return among.has(`${textAt(row, "resourceType")}/${textAt(row, "id")}`);
  return [...referredAt(row, paths, base)].some((reference) => among.has(reference));
}

/** The rows of one answer under its grant: the part of a row that leaves, and the view that shows it. */
export class RowViews {
  readonly #grant: Grant;
  readonly #bases: NamedBases;
  readonly #joined: readonly Joined[];
  readonly #facts = new WeakMap<JsonObject, Facts>();
  readonly #parts = new WeakMap<JsonObject, { readonly part: JsonObject | undefined }>();
  readonly context: RedactContext;

  constructor(grant: Grant, bases: NamedBases, joined: readonly Joined[]) {
    this.#grant = grant;
    this.#bases = bases;
    this.#joined = joined;
    this.context = {
      bases,
      urls: originUrls(bases),
      mayLinkTo: (other) => grant.mayLinkTo(other, bases.origin),
      viewInside: (inside, nesting) => grant.viewInside(this.factsOf(inside), bases.origin, nesting),
    };
  }

  /** The context for an included resource of this type. */
  contextOf(included: string): RedactContext {
    return {
      ...this.context,
      viewInside: (inside, nesting) =>
        this.#grant.viewInside(this.factsOf(inside), this.#bases.origin, nesting, included),
    };
  }

  /** Notes the residence of a row's patient. */
  note(row: JsonObject): void {
    this.#bases.residences.note(this.factsOf(row));
  }

  /** Answers whether the part of a row that leaves matches the search. */
  matchesSearch(row: JsonObject): boolean {
    const { clientParameters, expects } = this.#grant;
    return (
      this.isFound(this.factsOf(row)) &&
      isFoundWithout(row, clientParameters, expects.kind === "search" ? expects.sort : [], this.#bases.origin)
    );
  }

  /** Answers whether a row with these facts matches the search, and refers to a result of each join. */
  isFound(facts: Facts): boolean {
    return (
      matchesSearch(facts, this.#grant.clientParameters, this.#bases.origin, this.#grant.decidedHere) &&
      this.#joined.every((joined) => meets(facts, joined, this.#bases.origin))
    );
  }

  /**
   * Answers whether the redacted row itself meets the criteria: an origin may have matched a value of a
   * hidden system.
   */
  shows(row: JsonObject, redacted: JsonObject): boolean {
    return meetsCriteria(redacted, this.#grant.mustShow?.(this.factsOf(row)) ?? [], this.#bases.public);
  }

  /** The resource without the elements whose labels may not leave; undefined: it stays back whole. */
  leaving(resource: JsonObject): JsonObject | undefined {
    const known = this.#parts.get(resource);
    if (known !== undefined) return known.part;
    const part = leavingFor(this.#grant, resource, this.factsOf(resource), this.#bases.origin);
    this.#parts.set(resource, { part });
    return part;
  }

  /** The facts of a resource, or of a resource inside it: read once, whatever asks for them. */
  factsOf(resource: JsonObject): Facts {
    const facts = this.#facts.get(resource) ?? factsFor(this.#grant, resource);
    this.#facts.set(resource, facts);
    return facts;
  }

  /** The view of a row as all of these versions permit it; undefined: no rule covers it. */
  viewOf(resource: JsonObject, ...versions: readonly JsonObject[]): ResourceView | undefined {
    const further = versions.map((version) => this.factsOf(version));
    return this.narrow(this.#grant.viewOf(this.factsOf(resource), this.#bases.origin, ...further));
  }

  /** A view as the elements that the request asks for narrow it. */
  narrow(view: ResourceView | undefined): ResourceView | undefined {
    const { elements } = this.#grant;
    return view === undefined || elements === undefined ? view : narrowView(view, elements);
  }
}
