import { isObject, textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { residenceOf } from "./residence.ts";
import type { Instant } from "#kernel/clock";

/**
 * In which states the patients of one origin live, as far as the bodies of one request said it: for the record alone. Bodies are noted as
 * they come, before any cut, since a view that hides an address hides it from its reader and not from the record.
 */
export class Residences {
  readonly #at: Instant;
  readonly #states = new Map<string, string>();
  /** By copies inside other resources, which may be older than the Patient itself. */
  readonly #copied = new Map<string, string>();

  /** @param at when the request arrived: at which time an address is in use. */
  constructor(at: Instant) {
    this.#at = at;
  }

  /** A resource of the origin's, whole, as it is now: a Patient, or what holds Patients under their ids. A contained one has none. */
  note(resource: JsonObject): void {
    this.#note(resource, this.#states);
  }

  #note(resource: JsonObject, states: Map<string, string>): void {
    const type = textAt(resource, "resourceType") ?? "";
    if (type === "Patient") {
      const [id, state] = [textAt(resource, "id"), residenceOf(resource, this.#at)];
      if (id !== undefined && state !== undefined) states.set(id, state);
    }
    const path = insides.get(type);
    if (path !== undefined)
      for (const inside of valuesAt(resource, path).filter(isObject)) this.#note(inside, this.#copied);
  }

  /** @param patient its id. */
  of(patient: string): string | undefined {
    return this.#states.get(patient) ?? this.#copied.get(patient);
  }
}

const insides = new Map([
  ["Bundle", ["entry", "resource"]],
  ["Parameters", ["parameter", "resource"]],
]);
