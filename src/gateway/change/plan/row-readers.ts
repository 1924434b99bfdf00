import { Facts, type FactPath } from "#fhir/json/facts";
import type { JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { searchParametersOf, type SearchParameterDefinition } from "#fhir/search/parameters";
import { matches, mayMatch } from "#fhir/search/row-judge";
import type { SearchParameter } from "#fhir/search/search";
import { sortOrder } from "#fhir/search/sort-order";
import { readValue } from "#fhir/search/value";
import { isInDataPeriod, timeMembersOf } from "#policy/consent/data-period";
import { rowFactsOf } from "#policy/consent/row-facts";

/**
 * Answers whether the readers of rows can read a resource: each search parameter of its type, each order, the period
 * of a policy, and the facts by which labels and Consents judge. A reader that throws, or that spends the share of a
 * row, hides the row from everybody; such a row is not written.
 */
export function isReadByAll(type: string, row: JsonObject, text: string, base: FhirBase): boolean {
  if (text.length <= harmlessLength) return true;
  // Each reader has the share of a row for itself, as in a request of its own: the share belongs to the object.
  const fresh = (): JsonObject => ({ ...row });
  try {
    for (const { parameter, orders } of samplesOf(type)) {
      mayMatch(fresh(), parameter, base);
      matches(fresh(), parameter, base);
      for (const { valuesOf } of orders) valuesOf(fresh());
    }
    const times = timeMembersOf(type).map((member): FactPath => [member]);
    isInDataPeriod({ since: "2000-01-01" }, Facts.of(fresh(), times), undefined);
    rowFactsOf(fresh(), base);
    return true;
  } catch {
    return false;
  }
}

// Less than any reader's share of a row allows, whatever it says; most rows have a tenth.
const harmlessLength = 16_384;

/** A question by a search parameter that finds nothing: it reads each value of a row. */
interface Sample {
  readonly parameter: SearchParameter;
  readonly orders: readonly ReturnType<typeof sortOrder>[];
}

const known = new Map<string, readonly Sample[]>();

function samplesOf(type: string): readonly Sample[] {
  const settled = known.get(type);
  if (settled !== undefined) return settled;
  const samples = [...searchParametersOf(type).values()].flatMap((definition): Sample | readonly [] => {
    const value = readValue(textFor(definition), definition, { base: undefined, type: undefined });
    const orders = [false, true].map((descending) => sortOrder([{ definition, descending }]));
    return value === undefined ? [] : { parameter: { definition, values: [value] }, orders };
  });
  known.set(type, samples);
  return samples;
}

const texts = {
  date: "1000-01-01",
  number: "-1",
  quantity: "-1",
  token: "urn:phylax:none|none",
  reference: "none",
  string: "\uE000",
  uri: "urn:phylax:none",
  special: "none",
} as const;

const textFor = ({ code, type, components = [] }: SearchParameterDefinition): string =>
  type === "composite" ? components.map(textFor).join("$") : code === "_id" ? "none" : texts[type];
