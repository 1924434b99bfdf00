import { utf8 } from "#kernel/encoded";
import { wholeSteps } from "#kernel/whole-steps";
import { allConcernedBy } from "#fhir/r4/concerned-patients";
import { depthMax, depthOf, isArray, property, type JsonObject } from "#fhir/json/json";
import { patientsNamedIn } from "#fhir/r4/reference";
import { nestedResources } from "#fhir/json/nested-resources";
import { patientsMax } from "./disclosure.ts";
import type { Bases } from "./origin-urls.ts";
import { containedMax } from "./redact.ts";

/** The extent of a resource in each quantity that reading limits, whatever the view. */
interface Extent {
  readonly bytes: number;
  readonly depth: number;
  /** The largest number in a resource. */
  readonly contained: number;
  readonly patients: number;
}

// An origin serializes the resource in its own way, into an entry of a Bundle: four levels less. Decisions
// hold rows as trees, of 4 MiB together (gateway/origin/held-bytes): a row fits, with room.
const limits: Extent = {
  bytes: 3_145_728,
  depth: depthMax - 4,
  contained: containedMax,
  patients: patientsMax,
};

// A writer chooses the size of its body, so an exact limit would reveal the size of the hidden part.
// A transaction has 1,000 plans in a memory of 8 MiB, and a body of at most 4 MiB. Each plan is rounded by itself:
// one rounded sum would let a writer compare the hidden parts of two rows, by the bytes that the sum lacks to a step.
const [resourceStep, planStep] = [16_384, 4_096];

/**
 * The padding that rounds the size of the hidden part of a row up to whole steps, at least one step. The bytes
 * count for the limit of a resource, the characters for the memory of the request.
 *
 * @param shown the part of the stored row that its writer sees.
 */
export function hiddenRoom(
  stored: JsonObject,
  shown: JsonObject,
): { readonly bytes: number; readonly characters: number } {
  const [whole, part] = [JSON.stringify(stored), JSON.stringify(shown)];
  const padding = (hidden: number, step: number) => wholeSteps(hidden, step) - hidden;
  return {
    bytes: padding(bytesOf(whole) - bytesOf(part), resourceStep),
    characters: padding(whole.length - part.length, planStep),
  };
}

const bytesOf = (text: string): number => utf8(text).length;

/**
 * Answers whether every reader could read the result of a write. An extent that exceeded a limit before may
 * stay but not grow: no client is refused a change because of content that a different client stored and that
 * it cannot see.
 *
 * @param text of the result. @param room bytes, see {@link hiddenRoom}.
 */
export function isReadable(
  result: JsonObject,
  text: string,
  stored: JsonObject | undefined,
  bases: Bases,
  room = 0,
): boolean {
  const extent = extentOf(result, text, bases);
  const names = ["bytes", "depth", "contained", "patients"] as const;
  const beyond = names.filter((name) => extent[name] + (name === "bytes" ? room : 0) > limits[name]);
  if (beyond.length === 0 || stored === undefined) return beyond.length === 0;
  const before = extentOf(stored, JSON.stringify(stored), bases);
  return beyond.every((name) => extent[name] <= before[name]);
}

function extentOf(resource: JsonObject, text: string, { origin, public: publicBase }: Bases): Extent {
  const bases = [origin, publicBase];
  let contained = 0;
  for (const { resource: nested } of nestedResources(resource)) {
    const list = property(nested, "contained");
    if (isArray(list)) contained = Math.max(contained, list.length);
  }
  const patients = new Set([...allConcernedBy(resource, bases).patients, ...patientsNamedIn(resource, bases)])
    .size;
  return { bytes: bytesOf(text), depth: depthOf(resource), contained, patients };
}
