import { err, ok, type Result } from "#kernel/result";
import type { Pairs } from "../call.ts";
import type { CriterionRefusal } from "../search/criterion.ts";
import type { ComparedSpan } from "../match/comparator.ts";
import { dateSpan, dateValue } from "../match/date.ts";
import { localParts, targetOf } from "../match/reference.ts";
import { pageSizes, readPageSize } from "../search/page-size.ts";
import { servedTypes, servedParametersOf } from "../search-parameters.ts";
import type { Stored } from "../stored.ts";
import type { ResourceIndex } from "../resource-index.ts";
import { items, valuesOf } from "../values.ts";

/**
 * The parameters of `Patient/[id]/$everything` (http://hl7.org/fhir/R4/operation-patient-everything.html).
 */
export interface EverythingQuery {
  /** Selects care that was given or under way in this span. Undated records are always returned. */
  readonly care: ComparedSpan;
  /** Selects resources changed since then, in ms since 1970. */
  readonly since: number;
  readonly types: ReadonlySet<string>;
  readonly count: number;
}

export function readEverythingCall(pairs: Pairs): Result<EverythingQuery, CriterionRefusal> {
  let [care, since, types, count]: [ComparedSpan, number, ReadonlySet<string>, number] = [
    { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY },
    Number.NEGATIVE_INFINITY,
    servedTypes,
    pageSizes.default,
  ];
  for (const [name, value] of pairs) {
    const bad = err({ reason: "bad_value" as const, text: `The value of ${name} cannot be read.` });
    const span = dateSpan(value);
    const size = readPageSize(value);
    const named = value.split(",");
    switch (name) {
      case "start":
        if (span === undefined) return bad;
        care = { low: span.low, high: care.high };
        break;
      case "end":
        if (span === undefined) return bad;
        care = { low: care.low, high: span.high };
        break;
      case "_since":
        if (span === undefined) return bad;
        since = span.low;
        break;
      case "_type":
        if (!named.every((type) => servedTypes.has(type))) return bad;
        types = new Set(named);
        break;
      case "_count":
        if (size === undefined) return bad;
        count = size;
        break;
      case "_format":
      case "_pretty":
        break;
      default:
        return err({ reason: "parameter_unknown", text: `$everything has no parameter ${name}.` });
    }
  }
  return ok({ care, since, types, count });
}

/**
 * The patient, the patient's compartment, and the shared people, places and things that these records refer
 * to.
 */
export function everythingAbout(
  index: ResourceIndex,
  patient: Stored,
  { care, since, types }: EverythingQuery,
): Stored[] {
  const own = [...index.compartment(patient.id)]
    .filter(({ resourceType }) => resourceType !== "Patient")
    .filter((resource) => isOfTime(resource, care)); // linked patients are different people
  const found = new Set([patient, ...own]);
  // The loop visits the set while it grows: a PractitionerRole adds its Practitioner.
  for (const resource of found)
    for (const target of targetsIn(resource, index.base)) {
      const { type = "", id = "" } = localParts(target) ?? {};
      const referred = sharedTypes.has(type) ? index.get(type, id) : undefined;
      if (referred !== undefined) found.add(referred);
    }
  return [...found].filter(
    ({ resourceType, meta }) =>
      types.has(resourceType) && (dateSpan(meta.lastUpdated)?.high ?? since) > since,
  );
}

const sharedTypes = new Set([
  "Practitioner",
  "PractitionerRole",
  "Organization",
  "Location",
  "Medication",
  "Device",
  "HealthcareService",
]);

function* targetsIn(value: unknown, base: string): Iterable<string> {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === "reference") yield targetOf({ type: "Reference", value }, base) ?? "";
    else for (const item of items(inner)) yield* targetsIn(item, base);
  }
}

// The parameters with the date of care, best first. Birth dates, and dates of the record alone, do not count.
const careDates =
  "date period onset-date occurrence effective effective-time whenhandedover started collected sent start-date event-date datetime datewritten identified when authored authored-on authoredon created".split(
    " ",
  );

function isOfTime(resource: Stored, care: ComparedSpan): boolean {
  const parameters = servedParametersOf(resource.resourceType);
  for (const code of careDates) {
    const parameter = parameters.get(code);
    const spans =
      parameter?.type === "date"
        ? valuesOf(resource, parameter).flatMap((value) => dateValue(value) ?? [])
        : [];
    if (spans.length > 0) return spans.some(({ low, high }) => low < care.high && high > care.low);
  }
  return true;
}
