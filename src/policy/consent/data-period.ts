import type { Facts } from "#fhir/json/facts";
import { textAt, valuesAt } from "#fhir/json/json";
import { elementsOf, isResourceType } from "#fhir/r4/elements";
import type { Instant } from "#kernel/clock";
import type { PolicyDataPeriod } from "#policy/schema";
import { timeElements } from "./row-facts.ts";
import { spanOf } from "./time-span.ts";

type Path = readonly string[];

/** The elements of a type that state a time. */
interface TimesOf {
  /** When the service was given, the most exact first. */
  readonly service: readonly Path[];
  /** When the data began, or were written, recorded or issued. */
  readonly further: readonly Path[];
}

/**
 * Answers whether a row lies in the service dates of a policy. The first element that states a time of service
 * decides; the date of a record about an old service opens nothing. Only a row without a time of service is
 * judged by the latest date that it states. A type without a date (Patient, Practitioner) is not limited; a row
 * of a further type that states no date stays out. @param at time of the request; undefined: no request runs,
 * and a span of years includes nothing.
 */
export function isInDataPeriod(
  period: PolicyDataPeriod | undefined,
  row: Facts,
  at: Instant | undefined,
): boolean {
  if (period === undefined) return true;
  const type = textAt(row, "resourceType") ?? "";
  const { service, further } = timesOf(type);
  if (service.length + further.length === 0) return true;
  const decisive = service.find((path) => valuesAt(row, path).length > 0);
  const stated = decisive === undefined ? further : [decisive];
  const values = stated.flatMap((path) => valuesAt(row, path));
  if (values.length === 0) return withValidity.has(type);
  const since =
    "since" in period
      ? Date.parse(period.since)
      : at === undefined
        ? Infinity
        : yearsBefore(at, period.years);
  return (latestOf(values, decisive !== undefined) ?? -Infinity) > since;
}

/** The members of a type that {@link isInDataPeriod} reads. */
export function timeMembersOf(type: string): readonly string[] {
  const { service, further } = timesOf(type);
  return [...new Set([...service, ...further].map(([first = ""]) => first))];
}

/**
 * The end of the latest time, in ms since 1970 (UTC); undefined: no time that is understood.
 * @param isEach every time has to be understood.
 */
function latestOf(values: ReturnType<typeof valuesAt>, isEach: boolean): number | undefined {
  let latest: number | undefined;
  for (const value of values) {
    const end = spanOf(value)?.utc[1];
    if (end === undefined && isEach) return undefined;
    if (end !== undefined) latest = Math.max(latest ?? end, end);
  }
  return latest;
}

// Their optional period says how long they are valid. It is no time of service, and most rows state none.
const withValidity: ReadonlySet<string> = new Set([
  "CareTeam",
  "Coverage",
  "InsurancePlan",
  "OrganizationAffiliation",
  "PractitionerRole",
  "RelatedPerson",
]);

// A form that states no date (a string, an age) is a time of service all the same: the row stays out.
const forms = ["DateTime", "Period", "Instant", "Date", "String", "Age", "Range"] as const;
const timingParts: readonly Path[] = [["event"], ["repeat", "boundsPeriod"], []];
const stems = ["effective", "performed", "occurrence", "occurred", "identified", "timing"] as const;
const serviceElements: readonly Path[] = [
  ...stems.flatMap((stem) => forms.map((form) => [`${stem}${form}`])),
  ...stems.flatMap((stem) => timingParts.map((part) => [`${stem}Timing`].concat(part))),
  ["collection", "collectedDateTime"],
  ["collection", "collectedPeriod"],
  ["whenHandedOver"],
  ["whenPrepared"],
  ["servicedDate"],
  ["servicedPeriod"],
  ["billablePeriod"],
  ["item", "servicedDate"],
  ["item", "servicedPeriod"],
  ["createdDateTime"], // of a Media: when it was taken
  ["createdPeriod"],
  ["started"],
  ["context", "period"],
  ["period"],
  ["sent"],
  ["start"],
];
const names: ReadonlySet<string> = new Set(serviceElements.map((path) => path.join(".")));
const furtherElements = timeElements.filter((path) => !names.has(path.join(".")));

const known = new Map<string, TimesOf>();

function timesOf(type: string): TimesOf {
  const settled = known.get(type);
  if (settled !== undefined) return settled;
  // the date of an AdverseEvent is the time of the event
  const date: readonly Path[] = type === "AdverseEvent" ? [["date"]] : [];
  const times = {
    service: [...date, ...serviceElements].filter((path) => hasPath(type, path)),
    further: furtherElements.filter((path) => hasPath(type, path)),
  };
  if (isResourceType(type)) known.set(type, times);
  return times;
}

/** Answers whether R4 has an element at this path of a type. */
function hasPath(type: string, [step, ...below]: Path): boolean {
  if (step === undefined) return true;
  for (const element of elementsOf(type).values())
    for (const form of element.forms) if (form.name === step) return hasPath(form.type, below);
  return false;
}

function yearsBefore(at: Instant, years: number): number {
  const day = new Date(at);
  return Date.UTC(day.getUTCFullYear() - years, day.getUTCMonth(), day.getUTCDate());
}
