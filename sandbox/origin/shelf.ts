import { patientsOf } from "./compartment.ts";
import type { Criterion } from "./criterion.ts";
import { localParts, targetOf } from "./match/reference.ts";
import type { Query } from "./query.ts";
import { searchParametersOf } from "./search-parameters.ts";
import { sortKey } from "./sort-key.ts";
import { valuesOf } from "./values.ts";

/** A resource as it is stored: never changed, so it can be handed out without a copy. Its numbers are those of `parseExact`. */
export interface Stored {
  readonly resourceType: string;
  readonly id: string;
  readonly meta: { readonly versionId: string; readonly lastUpdated: string };
}

/** The current versions, with an index of who refers to whom, so that a patient's records are found without a walk over everybody's. */
export class Shelf {
  readonly #base: string;
  readonly #byType = new Map<string, Map<string, Stored>>();
  readonly #referring = new Map<string, Set<Stored>>();
  readonly #compartments = new Map<string, Set<Stored>>();

  /** `base`: this server's own URL. */
  constructor(base: string) {
    this.#base = base;
  }

  get(type: string, id: string): Stored | undefined {
    return this.#byType.get(type)?.get(id);
  }

  put(resource: Stored): void {
    this.remove(resource.resourceType, resource.id);
    const ofType = this.#byType.get(resource.resourceType) ?? new Map<string, Stored>();
    this.#byType.set(resource.resourceType, ofType.set(resource.id, resource));
    for (const key of this.#keys(resource)) addTo(this.#referring, key, resource);
    for (const patient of patientsOf(resource, this.#base)) addTo(this.#compartments, patient, resource);
  }

  remove(type: string, id: string): void {
    const resource = this.get(type, id);
    if (resource === undefined) return;
    this.#byType.get(type)?.delete(id);
    for (const key of this.#keys(resource)) this.#referring.get(key)?.delete(resource);
    for (const patient of patientsOf(resource, this.#base)) this.#compartments.get(patient)?.delete(resource);
  }

  /** All that is in a patient's compartment, in the order of storing. */
  compartment(patient: string): Iterable<Stored> {
    return this.#compartments.get(patient) ?? [];
  }

  /** Everything that matches, in the order asked for, else in that of storing. The caller takes `query.count` of it. */
  find({ type, criteria, sort }: Query): Stored[] {
    const narrowing = criteria.find(({ refersTo }) => refersTo !== undefined)?.refersTo;
    const candidates = narrowing === undefined ? this.#byType.get(type)?.values() : this.#referrers(type, narrowing);
    const found = [...(candidates ?? [])].filter((resource) => criteria.every(({ meets }) => meets(resource)));
    for (const { by, descending } of sort.toReversed()) {
      const keys = new Map(found.map((resource) => [resource, sortKey(resource, by, descending)]));
      found.sort((a, b) => compareKeys(keys.get(a), keys.get(b), descending));
    }
    return found;
  }

  /** Those that refer to any of the targets, each once. */
  #referrers(type: string, { code, targets }: NonNullable<Criterion["refersTo"]>): Set<Stored> {
    const all = new Set<Stored>();
    for (const target of targets) for (const referrer of this.#referring.get(key(type, code, target)) ?? []) all.add(referrer);
    return all;
  }

  /** Each reference under what it points at and, for the bare form of a search, under the id alone. */
  *#keys(resource: Stored): Iterable<string> {
    for (const [code, parameter] of searchParametersOf(resource.resourceType)) {
      if (parameter.type !== "reference") continue;
      for (const value of valuesOf(resource, parameter)) {
        const target = targetOf(value, this.#base);
        if (target === undefined) continue;
        yield key(resource.resourceType, code, target);
        const parts = localParts(target);
        if (parts !== undefined) yield key(resource.resourceType, code, parts.id);
      }
    }
  }
}

function addTo(index: Map<string, Set<Stored>>, key: string, resource: Stored): void {
  const known = index.get(key);
  if (known === undefined) index.set(key, new Set([resource]));
  else known.add(resource);
}

const key = (type: string, code: string, target: string): string => `${type}?${code}=${target}`;

/** Resources without the value come last, whichever way is sorted. */
function compareKeys(a: string | number | undefined, b: string | number | undefined, descending: boolean): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return (a < b ? -1 : 1) * (descending ? -1 : 1);
}
