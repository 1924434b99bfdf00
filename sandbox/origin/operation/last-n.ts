import { largest } from "#kernel/largest";
import type { Pairs } from "../call.ts";
import { dateValue } from "../match/date.ts";
import { badRequest } from "../refusal.ts";
import { servedParametersOf } from "../search-parameters.ts";
import type { Stored } from "../stored.ts";
import { field, items, text, valuesOf } from "../values.ts";

/**
 * `max` of `Observation/$lastn`, and its search, for one subject
 * (http://hl7.org/fhir/R4/observation-operation-lastn.html).
 */
export function readLastNCall(pairs: Pairs): { readonly max: number; readonly search: Pairs } {
  const written = pairs.find(([name]) => name === "max")?.[1] ?? "1";
  if (!/^[1-9]\d{0,8}$/u.test(written)) throw badRequest("max is no number.");
  if (!pairs.some(([name]) => /^(?:patient|subject)\b/u.test(name)))
    throw badRequest("$lastn needs a patient or a subject.");
  return { max: Number(written), search: pairs.filter(([name]) => name !== "max") };
}

/**
 * The latest observations of each kind, kind by kind. Observations are of one kind when they share a coding
 * or, without codings, their text.
 */
export function newestOfEach(observations: readonly Stored[], max: number): Stored[] {
  const newest = observations
    .map((resource) => ({ resource, at: timeOf(resource) }))
    .toSorted((a, b) => b.at - a.at);
  const kinds = new Map<string, Stored[]>();
  for (const { resource } of newest) {
    const names = namesOf(resource);
    const kind = names.map((name) => kinds.get(name)).find((known) => known !== undefined) ?? [];
    for (const name of names) if (!kinds.has(name)) kinds.set(name, kind);
    kind.push(resource);
  }
  return [...new Set(kinds.values())].flatMap((kind) => kind.slice(0, max));
}

function namesOf(observation: Stored): string[] {
  const code = field(observation, "code");
  const codings = items(field(code, "coding")).map(
    (coding) => `${text(coding, "system") ?? ""}|${text(coding, "code") ?? ""}`,
  );
  return codings.length > 0 ? codings : [text(code, "text") ?? ""];
}

/** The time of the observation, in ms since 1970. An undated observation is older than any. */
function timeOf(observation: Stored): number {
  const date = servedParametersOf("Observation").get("date");
  const times = date ? valuesOf(observation, date).map((value) => dateValue(value)?.low ?? -8.64e15) : [];
  return largest(times, -8.64e15);
}
