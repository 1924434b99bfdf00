import { utf8 } from "#fhir/json/bytes";
import { allConcernedBy } from "#fhir/r4/compartment";
import { depthMax, depthOf, isArray, property, type JsonObject } from "#fhir/json/json";
import { patientsNamedIn } from "#fhir/r4/reference";
import { nestedResources } from "#fhir/json/nested-resources";
import { patientsMax } from "./disclosure.ts";
import type { Bases } from "./origin-urls.ts";
import { containedMax } from "./redact.ts";

/** How much of each a resource has that reading has a bound for, whatever the view. */
interface Extent {
  readonly bytes: number;
  readonly depth: number;
  /** In one resource. */
  readonly contained: number;
  readonly patients: number;
}

// An origin writes it out in its own way, into the entry of a Bundle: four levels less. Decisions hold rows
// as trees, of 4 MiB together (gateway/held-bytes): one row fits, with room.
const most: Extent = {
  bytes: 3_145_728,
  depth: depthMax - 4,
  contained: containedMax,
  patients: patientsMax,
};

/**
 * Whether what a write makes of a resource can be read again by any of its readers. What was beyond a bound
 * before may stay, and not grow: nobody can be refused a change for what another client stored and this one
 * does not see.
 *
 * @param text of the result.
 */
export function isReadable(
  result: JsonObject,
  text: string,
  stored: JsonObject | undefined,
  bases: Bases,
): boolean {
  const extent = extentOf(result, text, bases);
  const names = ["bytes", "depth", "contained", "patients"] as const;
  const beyond = names.filter((name) => extent[name] > most[name]);
  if (beyond.length === 0 || stored === undefined) return beyond.length === 0;
  const before = extentOf(stored, JSON.stringify(stored), bases);
  return beyond.every((name) => extent[name] <= before[name]);
}

function extentOf(resource: JsonObject, text: string, { origin, public: own }: Bases): Extent {
  const bases = [origin, own];
  let contained = 0;
  for (const { resource: one } of nestedResources(resource)) {
    const list = property(one, "contained");
    if (isArray(list)) contained = Math.max(contained, list.length);
  }
  const patients = new Set([...allConcernedBy(resource, bases).patients, ...patientsNamedIn(resource, bases)])
    .size;
  return { bytes: utf8(text).length, depth: depthOf(resource), contained, patients };
}
