import { isObject, readJson, type JsonObject } from "#fhir/json/json";
import type { ResourceType } from "#fhir/r4/elements";
import { searchTextBytesMax } from "#fhir/search/query";
import { readSearch, type SearchParameter } from "#fhir/search/search";
import { utf8 } from "#kernel/encoded";

/** A row as the gateway reads it. */
export function asRow(resource: object): JsonObject {
  const read = readJson(utf8(JSON.stringify({ id: "1", ...resource })));
  if (!read.ok || !isObject(read.value)) throw new Error("no JSON object");
  return read.value;
}

export function parametersOf(
  type: ResourceType,
  ...pairs: readonly (readonly [name: string, value: string])[]
): readonly SearchParameter[] {
  const search = readSearch(
    type,
    pairs.map(([name, value]) => ({ name, value })),
    "https://fhir.example/fhir",
  );
  if (!search.ok) throw new Error(JSON.stringify(search.error));
  return search.value.parameters;
}

/** The question of most values: 48 times a parameter with 100 values, of which the last alone finds the row. */
export const manyValues = (
  name: string,
  value: (index: number) => string,
  last: string,
  lists = 48,
): readonly (readonly [string, string])[] =>
  Array.from({ length: lists }, (_list, list) => {
    const others = Array.from({ length: 99 }, (_value, index) => value(list * 99 + index));
    return [name, [...others, last].join(",")] as const;
  });

const many = <T>(length: number, make: (index: number) => T): readonly T[] =>
  Array.from({ length }, (_item, index) => make(index));

/** Rows of a megabyte, each with a question that compares every value of the row. */
export const hostileSearches: Readonly<
  Record<
    string,
    {
      readonly row: () => JsonObject;
      readonly type: ResourceType;
      readonly pairs: readonly (readonly [string, string])[];
    }
  >
> = {
  "a name of 450,000 accents × 400 names": {
    type: "Patient",
    row: () => asRow({ resourceType: "Patient", name: [{ family: "é".repeat(450_000) }] }),
    pairs: manyValues(
      "family",
      (index) => `${"e".repeat(1 + (index % 20))}${String(index).padStart(6, "0")}`,
      "e",
      4,
    ),
  },
  "100,000 events × 100 dates": {
    type: "Observation",
    row: () =>
      asRow({
        resourceType: "Observation",
        effectiveTiming: { event: many(100_000, (index) => String(1000 + (index % 8_000))) },
      }),
    pairs: manyValues("date", (index) => `eb${1000 + (index % 9)}`, "sa0999", 1),
  },
  "9,000 codings × 4,000 values": {
    type: "Observation",
    row: () =>
      asRow({
        resourceType: "Observation",
        code: { coding: many(9_000, (index) => ({ system: "urn:s", code: `c${index}` })) },
      }),
    pairs: manyValues("code", (index) => `x${index}`, "c8999", 40),
  },
  "9,000 components × 4,800 pairs": {
    type: "Observation",
    row: () =>
      asRow({
        resourceType: "Observation",
        component: many(9_000, (index) => ({
          code: { coding: [{ code: "a" }] },
          valueQuantity: { value: index },
        })),
      }),
    pairs: manyValues("component-code-value-quantity", (index) => `a$-${index}`, "a$8999", 48),
  },
};

type Question = Omit<(typeof hostileSearches)[string], "row">;

/** As many parameters and values as the limit for the text of a search allows. */
function longest(type: ResourceType, name: string, value: (index: number) => string): Question {
  const lists = 60;
  const lengthMax = Math.floor(searchTextBytesMax / lists) - name.length;
  const pairs = many(lists, (list) => {
    let text = value(list * 100);
    for (let index = 1; index < 100; index += 1) {
      const longer = `${text},${value(list * 100 + index)}`;
      if (utf8(longer).length > lengthMax) break;
      text = longer;
    }
    return [name, text] as const;
  });
  return { type, pairs };
}

const sign = (index: number): string => String.fromCodePoint(0x4e00 + (index % 20_000));

export const largestQuestions: Readonly<Record<string, Question>> = {
  "one text": { type: "Patient", pairs: [["family:contains", "ab".repeat(12_000)]] },
  "short texts": longest("Patient", "family", (index) => `a${index}`),
  "texts of many signs": longest("Patient", "family:contains", (index) =>
    many(12, (at) => sign(index * 37 + at * 911)).join(""),
  ),
  dates: longest("Observation", "date", (index) => `ge${1000 + (index % 900)}`),
  codes: longest("Observation", "code", (index) => `u|${index}`),
  quantities: longest("Observation", "value-quantity", (index) => `${index}|u|m`),
  pairs: longest("Observation", "component-code-value-quantity", (index) => `a${index}$${index}`),
  "pairs with one code": longest("Observation", "component-code-value-quantity", (index) => `a$${index}`),
  references: longest("Observation", "performer", (index) => `x${index}`),
  urls: longest("Observation", "_profile:below", (index) => `u:${index}`),
};
