import { isArray, isObject, property, textAt, valuesAt, type JsonObject } from "#fhir/json/json";

/**
 * Of each kind of observation the latest, at most `max` of it
 * (http://hl7.org/fhir/R4/observation-operation-lastn.html): those are of one kind that share a coding or,
 * without any, the text. By what of them leaves: what is hidden orders and parts nothing.
 */
export function lastOfEach<T extends { readonly shown: JsonObject }>(
  observations: readonly T[],
  max: number,
): readonly T[] {
  const newest = observations.map((one) => ({ one, at: timeOf(one.shown) })).toSorted((a, b) => b.at - a.at);
  const kinds = new Map<string, T[]>();
  for (const { one } of newest) {
    const names = namesOf(one.shown);
    const kind = names.map((name) => kinds.get(name)).find((known) => known !== undefined) ?? [];
    for (const name of names) if (!kinds.has(name)) kinds.set(name, kind);
    kind.push(one);
  }
  return [...new Set(kinds.values())].flatMap((kind) => kind.slice(0, max));
}

function namesOf(observation: JsonObject): readonly string[] {
  const code = property(observation, "code");
  if (!isObject(code)) return [""];
  const codings = property(code, "coding");
  const names = (isArray(codings) ? codings : [])
    .filter(isObject)
    .map((coding) => JSON.stringify([textAt(coding, "system") ?? "", textAt(coding, "code") ?? ""]));
  return names.length > 0 ? names : [textAt(code, "text") ?? ""];
}

// The forms of `effective[x]`; of a period its end, and of one that goes on its beginning.
const times = [
  ["effectiveDateTime"],
  ["effectiveInstant"],
  ["effectivePeriod", "end"],
  ["effectivePeriod", "start"],
  ["effectiveTiming", "event"],
];

/** ms since 1970; what is undated is older than anything. */
function timeOf(observation: JsonObject): number {
  for (const path of times) {
    const found = valuesAt(observation, path).flatMap((value) =>
      typeof value === "string" ? [Date.parse(value)] : [],
    );
    const known = found.filter((time) => !Number.isNaN(time));
    if (known.length > 0) return known.reduce((last, time) => Math.max(last, time));
  }
  return Number.NEGATIVE_INFINITY;
}
