import type { Patient, Reference, Resource } from "@medplum/fhirtypes";
import type { SyntheticPerson } from "./people.ts";
import type { Random } from "./random.ts";

/** The state of a patient's chart while it is written: the person, the ids, the random choices. */
export interface Chart {
  readonly person: SyntheticPerson;
  readonly patient: Reference<Patient> & { readonly reference: string };
  readonly random: Random;
  /**
   * The next id of a type: `observation-17`. It counts over all patients, so an id does not disclose its
   * patient.
   */
  readonly id: (type: Resource["resourceType"]) => string;
}

/** A visit to a clinic. Most records belong to a visit. */
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
