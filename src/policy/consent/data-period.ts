import type { Facts } from "#fhir/json/facts";
import { textAt } from "#fhir/json/json";
import type { Instant } from "#kernel/clock";
import { latestTimeIn, timeMembersOf } from "./row-facts.ts";
import type { PolicyDataPeriod } from "#policy/schema";

/**
 * Answers whether a row lies in the service dates of a policy. A type without a date (Patient, Practitioner) is
 * not limited; a row of a further type that states no date stays out. @param at time of the request; undefined:
 * no request runs, and a span of years includes nothing.
 */
export function isInDataPeriod(
  period: PolicyDataPeriod | undefined,
  row: Facts,
  at: Instant | undefined,
): boolean {
  if (period === undefined || timeMembersOf(textAt(row, "resourceType") ?? "").length === 0) return true;
  const since =
    "since" in period
      ? Date.parse(period.since)
      : at === undefined
        ? Infinity
        : yearsBefore(at, period.years);
  return (latestTimeIn(row) ?? -Infinity) > since;
}

function yearsBefore(at: Instant, years: number): number {
  const day = new Date(at);
  return Date.UTC(day.getUTCFullYear() - years, day.getUTCMonth(), day.getUTCDate());
}
