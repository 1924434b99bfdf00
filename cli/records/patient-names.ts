import { readFileSync } from "node:fs";
import { isPatient } from "#audit/values";
import { Misuse } from "../misuse.ts";

const standardInput = (): string => readFileSync(0, "utf8");

/**
 * The names of a call. `-` stands for the names on standard input, so that no patient's name stands in the history of
 * a shell or in a list of processes.
 */
export const namesGiven = (named: readonly string[], read = standardInput): readonly string[] =>
  named.flatMap((name) => (name === "-" ? read().split(/\s+/u) : [name])).filter((name) => name !== "");

/** Throws a Misuse for a name that is no patient. The text does not repeat the name: it may be a person's. */
export function requirePatients(named: readonly string[]): void {
  if (!named.every((each): boolean => isPatient(each)))
    throw new Misuse("name each patient as ORIGIN/Patient/ID: main/Patient/amara-okafor");
}

/** The only patient of a call, `ORIGIN/Patient/ID`. Throws a Misuse for several names, or none. */
export function patientGiven(name: string, read = standardInput): string {
  const [patient, ...more] = namesGiven([name], read);
  if (patient === undefined || more.length > 0) throw new Misuse("name one patient: ORIGIN/Patient/ID");
  requirePatients([patient]);
  return patient;
}
