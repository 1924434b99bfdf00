import * as fc from "fast-check";
import { describe, test } from "vitest";
import { readSearch, type SearchParameter } from "#fhir/search/search";
import type { ResourceType } from "#fhir/r4/elements";
import { meets } from "#fhir/search/criteria";
import { matches, mayMatch } from "#fhir/search/row-judge";
import { asRow } from "../../support/hostile-search.ts";
import { inLane } from "../../support/lane.ts";
import { matchesByPairs, mayMatchByPairs, meetsByPairs } from "../../support/pairwise-judge.ts";

/*
 * The twin compares each searched value with each value of a row. The judge prepares the values of the question once
 * and reads those of the row once, and has to say the same of every row, also of a malformed one.
 */

const base = "https://fhir.example/fhir";
const of = <T>(values: readonly T[]) => fc.constantFrom(...values);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const list = <T>(value: fc.Arbitrary<T>, maxLength = 3) => fc.array(value, { maxLength });

const codes = ["a", "A", "b", "final", "true", "", "1|a", "preferred", "+49 1"];
const systems = [
  "urn:s",
  "http://loinc.org",
  "",
  "phone",
  "http://hl7.org/fhir/observation-status",
  "http://terminology.hl7.org/CodeSystem/v3-ActCode",
  5,
];
const words = ["Ann", "anna", "Änna Maria", "O'Brien", "ob", "", "-", "x y z", "annann", "s/x|1"];
const dates = [
  "2020",
  "2020-02",
  "2020-02-29",
  "2020-03-01",
  "2020-02-29T23:30:00Z",
  "2020-03-01T00:30:00+01:00",
  "2020-02-29T23:30",
  "soon",
  "",
];
const numbers = [5, 5.04, 4.96, -3, 100, 1e2, 0];
const references = [
  "Patient/1",
  "Patient/2",
  `${base}/Patient/1`,
  "Group/1",
  "#x",
  "urn:uuid:1",
  "https://other.example/Patient/1",
  "Practitioner/1/_history/2",
  "nonsense",
];
const urls = ["http://x.example/a", "http://x.example/A/b", "http://x.example/a/b|1", "urn:oid:1.2", ""];

const strange = of([null, 7, "a", true, {}, []]);
const coding = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ system: maybe(of(systems)), code: maybe(of(codes)), display: maybe(of(words)) }),
  },
  { weight: 1, arbitrary: strange },
);
const concept = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ coding: maybe(list(coding)), text: maybe(of(words)), code: maybe(of(codes)) }),
  },
  { weight: 1, arbitrary: coding },
);
const identifier = fc.record({ system: maybe(of(systems)), value: maybe(of(codes)), type: maybe(concept) });
const reference = fc.record({ reference: maybe(of(references)), identifier: maybe(identifier) });
const period = fc.record({ start: maybe(of(dates)), end: maybe(of(dates)) });
const quantity = fc.record({
  value: maybe(of(numbers)),
  comparator: maybe(of(["<"])),
  unit: maybe(of(["mg", "g"])),
  system: maybe(of(["urn:s", ""])),
  code: maybe(of(["mg", "g", ""])),
  currency: maybe(of(["EUR"])),
});
const component = fc.record({
  code: maybe(concept),
  valueQuantity: maybe(quantity),
  valueCodeableConcept: maybe(concept),
});
const meta = maybe(
  fc.record({
    tag: maybe(list(coding)),
    security: maybe(list(coding)),
    profile: maybe(list(of(urls))),
    lastUpdated: maybe(of(dates)),
  }),
);

const values = {
  token: fc.oneof(
    of(codes.filter((text) => text !== "" && text !== "1|a")),
    fc.tuple(of(systems), of(codes)).map(([system, code]) => `${system}|${code.replace("|", "\\|")}`),
  ),
  date: fc
    .tuple(of(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]), of(dates))
    .map((parts) => parts.join("")),
  number: fc
    .tuple(of(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]), of(numbers))
    .map((parts) => parts.join("")),
  quantity: fc
    .tuple(
      of(["", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]),
      of(numbers),
      of(["", "||mg", "|urn:s|g", "||EUR", "||", "|urn:s|"]),
    )
    .map((parts) => parts.join("")),
  string: of(words.filter((text) => text !== "").map((text) => text.replace("|", "\\|"))),
  uri: of(urls.filter((text) => text !== "")),
  reference: of([
    "Patient/1",
    "1",
    "2",
    "Patient/2",
    "Practitioner/1",
    "Group/1",
    "https://other.example/Patient/1",
  ]),
};

type Kind = keyof typeof values;
const question = (kind: Kind, ...names: readonly string[]) => fc.tuple(of(names), values[kind]);

/** Rows and questions by R4 type. */
const kinds: Readonly<
  Record<
    string,
    { readonly row: fc.Arbitrary<object>; readonly question: fc.Arbitrary<readonly [string, string]> }
  >
> = {
  Observation: {
    row: fc.record({
      meta,
      status: maybe(fc.oneof(of(codes), strange)),
      code: maybe(concept),
      category: maybe(list(concept)),
      identifier: maybe(list(identifier)),
      subject: maybe(fc.oneof(reference, strange)),
      encounter: maybe(reference),
      performer: maybe(list(reference)),
      effectiveDateTime: maybe(fc.oneof(of(dates), strange)),
      effectivePeriod: maybe(period),
      effectiveTiming: maybe(
        fc.record({
          event: maybe(list(of(dates))),
          repeat: maybe(fc.record({ boundsPeriod: maybe(period) })),
        }),
      ),
      valueQuantity: maybe(quantity),
      valueCodeableConcept: maybe(concept),
      component: maybe(list(component)),
    }),
    question: fc.oneof(
      question(
        "token",
        "code",
        "code:not",
        "category",
        "status",
        "status:not",
        "identifier",
        "combo-code",
        "_tag",
        "_tag:not",
        "_security",
      ),
      question("date", "date", "_lastUpdated"),
      question("quantity", "value-quantity", "combo-value-quantity", "component-value-quantity"),
      question("reference", "subject", "patient", "encounter", "performer"),
      question("token", "subject:identifier"),
      question("string", "code:text"),
      question("uri", "_profile"),
      fc.tuple(of(["_id"]), of(["1", "2"])),
      fc.tuple(of(["date:missing", "code:missing", "value-quantity:missing"]), of(["true", "false"])),
      fc
        .tuple(
          of(["code-value-quantity", "component-code-value-quantity", "combo-code-value-quantity"]),
          values.token,
          values.quantity,
        )
        .map(([name, code, number]) => [name, `${code}$${number}`] as const),
      fc
        .tuple(of(["code-value-concept", "component-code-value-concept"]), values.token, values.token)
        .map(([name, code, value]) => [name, `${code}$${value}`] as const),
      fc
        .tuple(of(["code-value-date"]), values.token, values.date)
        .map(([name, code, date]) => [name, `${code}$${date}`] as const),
      fc
        .tuple(fc.constant("identifier:of-type"), of(["urn:s"]), of(["a", "b"]), of(["a", "b", "A"]))
        .map(([name, ...parts]) => [name, parts.join("|")] as const),
    ),
  },
  Patient: {
    row: fc.record({
      active: maybe(fc.oneof(fc.boolean(), strange)),
      birthDate: maybe(of(dates)),
      deceasedBoolean: maybe(fc.boolean()),
      deceasedDateTime: maybe(of(dates)),
      name: maybe(
        list(
          fc.record({
            family: maybe(fc.oneof(of(words), strange)),
            given: maybe(list(of(words))),
            prefix: maybe(list(of(words))),
            text: maybe(of(words)),
          }),
        ),
      ),
      address: maybe(
        list(fc.record({ city: maybe(of(words)), line: maybe(list(of(words))), use: of(["home"]) })),
      ),
      telecom: maybe(
        list(fc.record({ system: maybe(of(["phone", "email", "other", "urn:s"])), value: maybe(of(codes)) })),
      ),
      gender: maybe(of(["male", "FEMALE"])),
      generalPractitioner: maybe(list(reference)),
    }),
    question: fc.oneof(
      question(
        "string",
        "name",
        "name:exact",
        "name:contains",
        "family",
        "given:exact",
        "address",
        "address-city",
        "address:contains",
        "phonetic",
      ),
      question("token", "active", "active:not", "phone", "email", "telecom"),
      fc.tuple(
        of(["gender", "gender:not"]),
        of(["male", "female", "http://hl7.org/fhir/administrative-gender|male", "urn:s|male"]),
      ),
      fc.tuple(of(["deceased", "deceased:not"]), of(["true", "false", "TRUE"])),
      question("date", "birthdate", "death-date"),
      question("reference", "general-practitioner"),
    ),
  },
  ValueSet: {
    row: fc.record({
      url: maybe(fc.oneof(of(urls), strange)),
      meta,
      name: maybe(of(words)),
      useContext: maybe(list(fc.record({ code: coding, valueQuantity: maybe(quantity) }))),
    }),
    question: fc.oneof(
      question("uri", "url", "url:above", "url:below", "_profile", "_profile:below"),
      question("string", "name", "name:contains"),
      fc
        .tuple(fc.constant("context-type-quantity"), values.token, values.quantity)
        .map(([name, code, number]) => [name, `${code}$${number}`] as const),
    ),
  },
  RiskAssessment: {
    row: fc.record({ prediction: maybe(list(fc.record({ probabilityDecimal: maybe(of(numbers)) }))) }),
    question: question("number", "probability"),
  },
};

/** The parameter of questions with one name: the values of all. */
function parameterOf(
  type: ResourceType,
  asked: readonly (readonly [string, string])[],
): SearchParameter | undefined {
  const [[name] = [""]] = asked;
  const texts = asked.flatMap(([other, value]) => (other === name ? [value] : []));
  const search = readSearch(
    type,
    [{ name, value: (name.endsWith("missing") ? texts.slice(0, 1) : texts).join(",") }],
    base,
  );
  return search.ok ? search.value.parameters[0] : undefined;
}

const numRuns = inLane({ fast: 1_500, slow: 15_000, long: 150_000 });

describe("many values are judged as each of them alone", () => {
  for (const [type, { row, question: asked }] of Object.entries(kinds)) {
    test(`${type}: prepared values say what comparisons by pairs say`, ({ expect }) => {
      let judged = 0;
      const found = { may: 0, does: 0 };
      let met = 0;
      fc.assert(
        fc.property(
          row,
          asked.chain((first) => fc.tuple(fc.constant(first), fc.array(asked, { maxLength: 12 }))),
          (made, [first, others]) => {
            const parameter = parameterOf(type as ResourceType, [first, ...others]);
            if (parameter === undefined) return;
            judged += 1;
            const json = asRow({ resourceType: type, ...made });
            const twin = {
              may: mayMatchByPairs(json, parameter, base),
              does: matchesByPairs(json, parameter, base),
              meets: meetsByPairs(json, [parameter], base),
            };
            const said = {
              may: mayMatch(json, parameter, base),
              does: matches(json, parameter, base),
              meets: meets(json, [parameter], base),
            };
            if (said.may !== twin.may || said.does !== twin.does || said.meets !== twin.meets)
              throw new Error(
                `${JSON.stringify(said)}, by pairs ${JSON.stringify(twin)}: ${JSON.stringify(parameter)}`,
              );
            found.may += Number(twin.may);
            found.does += Number(twin.does);
            met += Number(twin.meets);
          },
        ),
        { numRuns },
      );
      expect(judged).toBeGreaterThan(numRuns / 6);
      // criteria are tokens and references
      if (type === "Observation" || type === "Patient") expect(met).toBeGreaterThan(judged / 50);
      for (const count of Object.values(found)) {
        expect(count).toBeGreaterThan(judged / 20);
        expect(count).toBeLessThan(judged);
      }
    });
  }
});
