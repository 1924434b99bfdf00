import { Facts, type FactPath } from "#fhir/json/facts";
import { isObject, textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { residenceOf } from "./residence.ts";
import type { Instant } from "#kernel/clock";

/**
 * The states in which patients of an origin live, as far as the bodies of this request contain them: for
 * the record alone. Bodies are noted as they arrive, before any redaction, since a view may hide an address
 * from its reader but not from the record.
 */
export class Residences {
  readonly #at: Instant;
  readonly #states = new Map<string, string>();
  /** From copies inside other resources, which may be older than the Patient itself. */
  readonly #copied = new Map<string, string>();

  /** @param at when the request arrived: an address counts if it is in use at that time. */
  constructor(at: Instant) {
    this.#at = at;
  }

  /**
   * Notes a current resource of the origin by its facts at {@link residencePaths}: a Patient, or a resource
   * that contains Patients with ids. A contained resource has no id.
   */
  note(resource: Facts): void {
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

  /** @param patient the patient's id. */
  of(patient: string): string | undefined {
    return this.#states.get(patient) ?? this.#copied.get(patient);
  }
}

const insides = new Map<string, readonly [string, string]>([
  ["Bundle", ["entry", "resource"]],
  ["Parameters", ["parameter", "resource"]],
]);

/** The members that {@link Residences.note} reads of a resource of this type. */
export function residencePaths(type: string): readonly FactPath[] {
  const [member] = insides.get(type) ?? [];
  return [
    ["resourceType"],
    ...(type === "Patient" ? ([["id"], ["address"]] as const) : []),
    ...(member === undefined ? [] : [[member] as const]),
  ];
}

/** The facts of a resource for {@link Residences.note}. */
export const residenceFacts = (resource: JsonObject): Facts =>
  Facts.of(resource, residencePaths(textAt(resource, "resourceType") ?? ""));
