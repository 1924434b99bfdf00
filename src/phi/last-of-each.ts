import { isArray, isObject, property, textAt, valuesAt, type JsonObject } from "#fhir/json/json";

/** An observation with the facts by which {@link lastOfEach} orders it. */
export interface Dated<T> {
  readonly observation: T;
  /** ms since 1970; an observation without a date is older than every dated observation. */
  readonly at: number;
  /** The names of its kind. */
  readonly names: readonly string[];
}

/** Only released elements count: a hidden element neither orders nor separates observations. */
export const dated = <T extends { readonly shown: JsonObject }>(observation: T): Dated<T> => ({
  observation,
  at: timeOf(observation.shown),
  names: namesOf(observation.shown),
});

/**
 * The latest observations of each kind, at most `max`
 * (http://hl7.org/fhir/R4/observation-operation-lastn.html). Observations are of the same kind if they share
 * a coding or, without codings, the text.
 */
export function lastOfEach<T>(observations: readonly Dated<T>[], max: number): readonly T[] {
  const newest = observations.toSorted((a, b) => b.at - a.at);
  const kinds = new Map<string, T[]>();
  for (const { observation, names } of newest) {
    const kind = names.map((name) => kinds.get(name)).find((known) => known !== undefined) ?? [];
    for (const name of names) if (!kinds.has(name)) kinds.set(name, kind);
    kind.push(observation);
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

// The forms of `effective[x]`. A period counts by its end; an open period by its start.
const times = [
  ["effectiveDateTime"],
  ["effectiveInstant"],
  ["effectivePeriod", "end"],
  ["effectivePeriod", "start"],
  ["effectiveTiming", "event"],
];

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
