import * as fc from "fast-check";
import { describe, test } from "vitest";
import { readJson, isObject, type JsonObject } from "#fhir/json/json";
import { utf8 } from "#kernel/encoded";
import type { ResourceType } from "#fhir/r4/elements";
import { isJudgeable, matches, mayMatch } from "#fhir/search/row-judge";
import { readSearch } from "#fhir/search/search";
import { readCriterion } from "../../../sandbox/origin/search/read-criterion.ts";
import { ResourceIndex } from "../../../sandbox/origin/resource-index.ts";
import { inLane } from "../../support/lane.ts";

// The sandbox's server is the twin: its matchers were written from R4 alone and share no code with the judge.

const base = "https://fhir.example/fhir";
const index = new ResourceIndex(base);

const dates = [
  "2020",
  "2020-02",
  "2020-02-29",
  "2020-03-01",
  "2020-02-29T23:30:00Z",
  "2020-03-01T00:30:00+01:00",
  "2020-02-29T10:00:00.5-05:00",
  "1999-12-31",
];
const words = ["Ann", "ann", "Anna", "Okafor", "O'Brien", "Müller", "muller", "Anna Maria", "x"];
const codes = ["a", "A", "b", "final", "8480-6"];
const systems = ["http://loinc.org", "urn:s", undefined];
const numbers = ["5", "5.0", "5.04", "4.96", "100", "-3", "1e2"];
const of = <T>(values: readonly T[]) => fc.constantFrom(...values);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

const coding = fc.record({ system: of(systems), code: of(codes) });
const quantity = fc.record({
  value: of(numbers).map(Number),
  unit: optional(of(["mg", "g"])),
  system: optional(fc.constant("http://unitsofmeasure.org")),
  code: optional(of(["mg", "g"])),
});
const reference = of(["Patient/1", "Patient/2", `${base}/Patient/1`, "Group/1", "Patient/1/_history/2"]).map(
  (text) => ({ reference: text }),
);

/** Rows and searches by R4 type. */
const kinds = {
  Observation: {
    row: fc.record({
      status: of(codes),
      code: fc.record({ coding: fc.array(coding, { maxLength: 2 }), text: optional(of(words)) }),
      subject: optional(reference),
      effective: fc.oneof(
        fc.record({ effectiveDateTime: of(dates) }),
        fc.record({
          effectivePeriod: fc
            .record({ start: of(dates), end: optional(of(dates)) })
            .filter(
              ({ start, end }) => end === undefined || start.slice(0, 4) < end.slice(0, 4) || start === end,
            ),
        }),
        fc.record({
          effectiveTiming: fc.record({ event: fc.array(of(dates), { minLength: 1, maxLength: 2 }) }),
        }),
        fc.constant({}),
      ),
      valueQuantity: optional(quantity),
      identifier: fc.array(fc.record({ system: of(systems), value: of(codes) }), { maxLength: 2 }),
    }),
    search: fc.oneof(
      fc.tuple(
        of(["code", "identifier"]),
        of(["a", "b", "urn:s|a", "|a", "http://loinc.org|8480-6", "urn:s|"]),
      ),
      fc.tuple(of(["status", "status:not", "code:not"]), of(codes)),
      fc.tuple(of(["subject", "patient"]), of(["Patient/1", "1", "Patient/2"])),
      fc.tuple(
        fc.constant("date"),
        fc.tuple(of(["", "ge", "le", "gt", "lt", "sa", "eb", "ne"]), of(dates)).map((p) => p.join("")),
      ),
      fc.tuple(of(["date:missing", "subject:missing"]), of(["true", "false"])),
      fc.tuple(
        fc.constant("value-quantity"),
        fc
          .tuple(
            of(["", "ge", "le", "gt", "lt", "sa", "eb"]),
            of(numbers),
            of(["", "||mg", "|http://unitsofmeasure.org|g"]),
          )
          .map((p) => p.join("")),
      ),
    ),
  },
  Patient: {
    row: fc.record({
      active: optional(fc.boolean()),
      birthDate: optional(of(dates.filter((one) => !one.includes("T")))),
      name: fc.array(fc.record({ family: of(words), given: fc.array(of(words), { maxLength: 2 }) }), {
        maxLength: 2,
      }),
      address: fc.array(fc.record({ city: of(words), line: fc.array(of(words), { maxLength: 1 }) }), {
        maxLength: 1,
      }),
    }),
    search: fc.oneof(
      fc.tuple(
        of(["name", "family", "given", "address", "name:exact", "family:contains", "address-city"]),
        of(words),
      ),
      fc.tuple(fc.constant("active"), of(["true", "false"])),
      fc.tuple(
        fc.constant("birthdate"),
        fc.tuple(of(["", "ge", "lt"]), of(dates)).map((p) => p.join("")),
      ),
    ),
  },
} as const;

const asJson = (type: string, row: object): JsonObject => {
  const read = readJson(utf8(JSON.stringify({ resourceType: type, id: "1", ...row })));
  if (!read.ok || !isObject(read.value)) throw new Error("no JSON object");
  return read.value;
};

function verdicts(type: ResourceType, made: { readonly effective?: object }, name: string, value: string) {
  const { effective, ...others } = made;
  const row = { ...others, ...effective };
  const search = readSearch(type, [{ name, value }], base);
  const criterion = readCriterion(type, name, value, index);
  if (!search.ok || !criterion.ok) return undefined;
  const [parameter] = search.value.parameters;
  if (parameter === undefined) return undefined;
  const json = asJson(type, row);
  return {
    twin: criterion.value.meets(JSON.parse(JSON.stringify({ resourceType: type, id: "1", ...row }))),
    may: mayMatch(json, parameter, base),
    does: matches(json, parameter, base),
    isJudgeable: isJudgeable(type, parameter),
  };
}

const numRuns = inLane({ fast: 600, slow: 6_000, long: 60_000 });

describe("a row is judged as a server reads a search", () => {
  for (const [type, { row, search }] of Object.entries(kinds)) {
    test(`${type}: each match of the twin may match, and R4's own reading is the twin's`, ({ expect }) => {
      let judged = 0;
      fc.assert(
        fc.property(row as fc.Arbitrary<object>, search, (resource, [name, value]) => {
          const found = verdicts(type as ResourceType, resource, name, value);
          if (found === undefined) return;
          judged += 1;
          if (found.twin && !found.may) throw new Error(`a match is hidden: ${name}=${value}`);
          // the twin compares codes in any case
          const isOfCase =
            /[a-z]/iu.test(value) &&
            ["code", "identifier", "status", "status:not", "code:not"].includes(name);
          if (found.isJudgeable && !isOfCase && found.does !== found.twin)
            throw new Error(`${name}=${value} is ${found.does}, the twin says ${found.twin}`);
          if (found.does && !found.may && !name.endsWith(":not"))
            throw new Error(`${name}=${value} matches and may not`);
        }),
        { numRuns },
      );
      expect(judged).toBeGreaterThan(numRuns / 6);
    });
  }
});
