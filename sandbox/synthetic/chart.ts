import type { Patient, Reference, Resource } from "@medplum/fhirtypes";
import type { Person } from "./people.ts";
import type { Random } from "./random.ts";

/** One patient's records while they are written: the person, the ids, the chances. */
export interface Chart {
  readonly person: Person;
  readonly patient: Reference<Patient> & { readonly reference: string };
  readonly random: Random;
  /** The next id of a type: `observation-17`. Counts over all patients, so an id tells nothing about whose it is. */
  readonly id: (type: Resource["resourceType"]) => string;
}

/** Someone's visit to a clinic, to which most records belong. */
export interface Visit {
  readonly encounter: string;
  /** `YYYY-MM-DD`. */
  readonly date: string;
  readonly hour: number;
  readonly practitioner: string;
  readonly organization: string;
  readonly location: string;
}

/** Ids of all types, counted. */
export function counter(): (type: Resource["resourceType"]) => string {
  const counts = new Map<string, number>();
  return (type) => {
    const count = (counts.get(type) ?? 0) + 1;
    counts.set(type, count);
    return `${type.toLowerCase()}-${count}`;
  };
}

export const to = (type: Resource["resourceType"], id: string): { reference: string } => ({
  reference: `${type}/${id}`,
});
