import type { Facts } from "#fhir/json/facts";
import { isObject, textAt, valuesAt } from "#fhir/json/json";
import { isOwnedBy } from "./compartment.ts";
import type { AmongPatients } from "./owner-reference.ts";
import { parseReference, type FhirBase } from "./reference.ts";

/** Answers whether a target of a Provenance belongs to patients. */
export interface TargetOwners {
  isOf(type: string, id: string, patients: AmongPatients, base: FhirBase): boolean;
}

/**
 * The targets of a request's Provenances, as far as they are known: a Provenance belongs to the patients of all its
 * targets. A target that is not known counts as hidden.
 */
export class TargetBook implements TargetOwners {
  /** By `Type/id`; `undefined`: absent, or hidden from the client. */
  readonly #known = new Map<string, Facts | undefined>();

  /** Answers whether a target, as `Type/id`, is known: seen, hidden or absent. */
  knows(target: string): boolean {
    return this.#known.has(target);
  }

  /** Answers whether the client may see a target and it belongs to these patients. */
  isOf(type: string, id: string, patients: AmongPatients, base: FhirBase): boolean {
    const target = this.#known.get(`${type}/${id}`);
    return target !== undefined && isOwnedBy(target, patients, base);
  }

  /** As {@link isOf}, with each target that is not known as if it were of the patients. */
  get atBest(): TargetOwners {
    return {
      isOf: (type, id, patients, base) => !this.knows(`${type}/${id}`) || this.isOf(type, id, patients, base),
    };
  }

  /** Answers whether the client may see a target. */
  isSeen(type: string, id: string): boolean {
    return this.#known.get(`${type}/${id}`) !== undefined;
  }

  /** @param seen the target, if the client may see it. */
  learn(target: string, seen: Facts | undefined): void {
    this.#known.set(target, seen);
  }
}

/** A target of a Provenance: a resource at the origin, a resource inside the same container, or neither. */
export type Target = { readonly type: string; readonly id: string } | "inside" | "elsewhere";

/** The targets of a Provenance. @param bases all FHIR bases of the origin. */
export const targetsOf = (row: Facts, bases: readonly FhirBase[]): readonly Target[] =>
  valuesAt(row, ["target"]).map((target) => {
    const text = isObject(target) ? (textAt(target, "reference") ?? "") : "";
    const read = bases.map((base) => parseReference(text, base));
    if (read.some(({ kind }) => kind === "fragment")) return "inside";
    return read.find((each) => each.kind === "local") ?? "elsewhere";
  });
