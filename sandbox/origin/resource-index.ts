import { patientsOf } from "./compartment.ts";
import type { Criterion } from "./search/criterion.ts";
import { localParts, targetOf } from "./match/reference.ts";
import { servedParametersOf } from "./search-parameters.ts";
import type { Stored } from "./stored.ts";
import { valuesOf } from "./values.ts";

/** The resources that refer to one target by one search parameter. */
export interface Referrers {
  readonly type: string;
  readonly code: string;
  readonly from: ReadonlySet<Stored>;
}

const noResources: ReadonlySet<Stored> = new Set();

/**
 * The current versions, with an index of references and compartments: a patient's records are found without a
 * scan of all records.
 */
export class ResourceIndex {
  readonly base: string;
  readonly #byType = new Map<string, Map<string, Stored>>();
  /** By target, then by `Type?code`. */
  readonly #referring = new Map<string, Map<string, Referrers & { readonly from: Set<Stored> }>>();
  readonly #compartments = new Map<string, Set<Stored>>();

  /** `base`: this server's own URL; absolute references below it are local references. */
  constructor(base: string) {
    this.base = base;
  }

  get(type: string, id: string): Stored | undefined {
    return this.#byType.get(type)?.get(id);
  }

  put(resource: Stored): void {
    this.remove(resource.resourceType, resource.id);
    const ofType = this.#byType.get(resource.resourceType) ?? new Map<string, Stored>();
    this.#byType.set(resource.resourceType, ofType.set(resource.id, resource));
    for (const { code, target } of this.#references(resource)) this.#link(resource, code, target);
    for (const patient of patientsOf(resource, this.base)) {
      const compartment = this.#compartments.get(patient) ?? new Set();
      this.#compartments.set(patient, compartment.add(resource));
    }
  }

  remove(type: string, id: string): void {
    const resource = this.get(type, id);
    if (resource === undefined) return;
    this.#byType.get(type)?.delete(id);
    for (const { code, target } of this.#references(resource))
      this.#referring.get(target)?.get(`${type}?${code}`)?.from.delete(resource);
    for (const patient of patientsOf(resource, this.base)) this.#compartments.get(patient)?.delete(resource);
  }

  /** All resources in a patient's compartment, in the order of storing. */
  compartment(patient: string): ReadonlySet<Stored> {
    return this.#compartments.get(patient) ?? noResources;
  }

  /**
   * The resources of a type that refer to a target (`Type/id`, a URL, or an id alone) by a search parameter.
   */
  referring(type: string, code: string, target: string): ReadonlySet<Stored> {
    return this.#referring.get(target)?.get(`${type}?${code}`)?.from ?? noResources;
  }

  /** Finds the referrers of several targets; each resource once. */
  referringToAny(type: string, code: string, targets: readonly string[]): ReadonlySet<Stored> {
    const all = new Set<Stored>();
    for (const target of targets)
      for (const resource of this.referring(type, code, target)) all.add(resource);
    return all;
  }

  /** All resources that refer to a target. */
  referrers(target: string): Iterable<Referrers> {
    return this.#referring.get(target)?.values() ?? [];
  }

  /**
   * The resources of a type that meet all criteria, each once. They are in the order of storing, except if an
   * index supplies the candidates.
   */
  matching(type: string, criteria: readonly Criterion[], within?: ReadonlySet<Stored>): Stored[] {
    const candidates =
      within ??
      criteria.find(({ candidates }) => candidates !== undefined)?.candidates?.() ??
      this.#byType.get(type)?.values() ??
      [];
    return [...candidates].filter(
      (resource) => resource.resourceType === type && criteria.every(({ meets }) => meets(resource)),
    );
  }

  #link(resource: Stored, code: string, target: string): void {
    const byParameter =
      this.#referring.get(target) ?? new Map<string, Referrers & { readonly from: Set<Stored> }>();
    this.#referring.set(target, byParameter);
    const key = `${resource.resourceType}?${code}`;
    const known = byParameter.get(key);
    if (known === undefined)
      byParameter.set(key, { type: resource.resourceType, code, from: new Set([resource]) });
    else known.from.add(resource);
  }

  /** Yields each reference under its target and, for the bare form of a search, under the id alone. */
  *#references(resource: Stored): Iterable<{ readonly code: string; readonly target: string }> {
    for (const [code, parameter] of servedParametersOf(resource.resourceType)) {
      if (parameter.type !== "reference") continue;
      for (const value of valuesOf(resource, parameter)) {
        const target = targetOf(value, this.base);
        if (target === undefined) continue;
        yield { code, target };
        const parts = localParts(target);
        if (parts !== undefined) yield { code, target: parts.id };
      }
    }
  }
}
