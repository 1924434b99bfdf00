import * as fc from "fast-check";
import { test } from "vitest";
import type { Resource } from "@medplum/fhirtypes";
import { Facts } from "#fhir/json/facts";
import { isObject, readJson, type JsonObject } from "#fhir/json/json";
import { parseScopes } from "#identity/scopes";
import { searchParametersOf } from "#fhir/search/parameters";
import { readValue } from "#fhir/search/value";
import { compilePolicy, compileRule } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { factListsOf, factsFor } from "#policy/facts";
import { showsInEachRule } from "#policy/relations";
import { rowAccessOf } from "#policy/row-access";
import { filterPaths, rowFilterOf } from "#policy/scope-filters";
import { permitsParameter, searchableBy } from "#policy/search/searchable";
import { memoryOrigin } from "../../sandbox/origin/memory-origin.ts";
import { inLane } from "../support/lane.ts";
import { origin as base, policy, rule } from "./granting.ts";

// The sandbox's FHIR server is the twin: a row meets a condition exactly if that server's search finds it.

const url = "https://twin.example/fhir";
const treeOf = (resource: object): JsonObject => {
  const read = readJson(new TextEncoder().encode(JSON.stringify(resource)));
  if (!read.ok || !isObject(read.value)) throw new Error("a test's own mistake");
  return read.value;
};

async function foundByTwin(resource: Resource, query: string): Promise<boolean> {
  const server = memoryOrigin(url);
  server.load([resource]);
  const { status, body } = await server.answer(
    { method: "GET", path: `/fhir/${resource.resourceType}?${query}`, headers: {} },
    async () => Buffer.of(),
  );
  const text = body?.toString("utf8") ?? "";
  if (status !== 200) throw new Error(`${status} ${text}`);
  return ((JSON.parse(text) as { entry?: unknown[] }).entry ?? []).length === 1;
}

const judged = (resource: Resource, parameter: string, value: string): boolean | undefined => {
  const filter = rowFilterOf(resource.resourceType, { parameter, values: [value] });
  const facts = Facts.of(treeOf(resource), [
    ["resourceType"],
    ...filterPaths(resource.resourceType, parameter),
  ]);
  return filter?.meets(facts, url);
};

const codes = fc.constantFrom("a", "b", "ab");
const systems = fc.constantFrom("urn:s", "urn:t");
const concept = fc.record({
  coding: fc.array(fc.record({ system: systems, code: codes }), { minLength: 1, maxLength: 2 }),
});
const days = fc.constantFrom(
  "2020",
  "2020-02",
  "2020-02-03",
  "2020-02-03T10:00:00Z",
  "2020-02-03T10:00:00.500Z",
  "2021-01",
  "2020-02-03T23:30:00-02:00",
);
const period = fc.constantFrom<object>(
  { start: "2020-01", end: "2020-03" },
  { start: "2020-02-03" },
  { end: "2020-02-02" },
  { start: "2020-02-03T09:00:00Z", end: "2020-02-03T11:00:00Z" },
);
const when = fc.oneof(
  days.map((effectiveDateTime) => ({ effectiveDateTime })),
  period.map((effectivePeriod) => ({ effectivePeriod })),
  fc.constant({}),
);
const references = fc.constantFrom(
  "Encounter/e1",
  "Encounter/e2",
  `${url}/Encounter/e1`,
  "https://other.example/fhir/Encounter/e1",
  "#e1",
);
const observations = fc
  .record({
    category: fc.array(concept, { maxLength: 2 }),
    code: concept,
    when,
    encounter: fc.option(references, { nil: undefined }),
  })
  .map(
    ({ category, code, when: time, encounter }): Resource =>
      Object.assign(
        { resourceType: "Observation", id: "o", status: "final", code },
        category.length > 0 ? { category } : {},
        encounter === undefined ? {} : { encounter: { reference: encounter } },
        time,
      ) as Resource,
  );
const conditions = fc.oneof(
  fc.tuple(
    fc.constantFrom("code", "category"),
    fc.oneof(
      codes,
      fc.tuple(systems, codes).map(([system, code]) => `${system}|${code}`),
    ),
  ),
  fc.tuple(fc.constant("status"), fc.constantFrom("final", "amended")),
  fc.tuple(fc.constant("encounter"), fc.constantFrom("Encounter/e1", "Encounter/e2", "e1")),
  fc.tuple(
    fc.constant("date"),
    fc
      .tuple(fc.constantFrom("", "eq", "gt", "lt", "ge", "le", "sa", "eb"), days)
      .map(([prefix, day]) => prefix + day),
  ),
);

test("a row meets a condition of a scope exactly if a search by it finds the row: tokens, references, dates", async ({
  expect,
}) => {
  let [met, missed] = [0, 0];
  await fc.assert(
    fc.asyncProperty(observations, conditions, async (resource, [parameter, value]) => {
      const meets = judged(resource, parameter, value);
      const found = await foundByTwin(resource, `${parameter}=${encodeURIComponent(value)}`);
      expect(meets, `${parameter}=${value} ${JSON.stringify(resource)}`).toBe(found);
      if (found) met += 1;
      else missed += 1;
    }),
    { numRuns: inLane({ fast: 300, slow: 5_000, long: 20_000 }) },
  );
  expect(Math.min(met, missed)).toBeGreaterThan(10);
});

test("a row that meets `ne` or `ap` of a scope is found by a search for it, and has the date", async ({
  expect,
}) => {
  const met = { ne: 0, ap: 0 };
  await fc.assert(
    fc.asyncProperty(observations, fc.constantFrom("ne", "ap"), days, async (resource, prefix, day) => {
      if (!judged(resource, "date", prefix + day)) return;
      met[prefix] += 1;
      expect(Object.keys(resource).some((name) => name.startsWith("effective"))).toBe(true);
      const search = `date=${prefix === "ap" ? "eq" : prefix}${day}`;
      expect(await foundByTwin(resource, search), `${search} ${JSON.stringify(resource)}`).toBe(true);
    }),
    { numRuns: inLane({ fast: 300, slow: 5_000, long: 20_000 }) },
  );
  expect(Math.min(met.ne, met.ap)).toBeGreaterThan(3); // about 23 are usual
});

test("a text is found by the beginning of its parts, without regard to case and accents", async ({
  expect,
}) => {
  const resource: Resource = {
    resourceType: "Patient",
    id: "p",
    name: [{ use: "official", family: "Müller", given: ["Ann Kai"] }],
    address: [{ use: "home", city: "Zürich", line: ["Weg 1"] }],
  };
  for (const [parameter, value] of [
    ["family", "mull"],
    ["name", "ann k"],
    ["address", "zur"],
    ["address-city", "Zürich"],
    ["name", "official"],
    ["family", "ller"],
    ["address", "home"],
  ] as const)
    expect(judged(resource, parameter, value), `${parameter}=${value}`).toBe(
      await foundByTwin(resource, `${parameter}=${encodeURIComponent(value)}`),
    );
  expect(judged(resource, "family", "mull")).toBe(true);
  expect(judged(resource, "name", "official")).toBe(false);
});

test.for([
  ["an unknown parameter", "foo", "a"],
  ["a parameter of another type", "beneficiary", "Patient/1"],
  ["a quantity", "value-quantity", "5"],
  ["a composite", "code-value-quantity", "a"],
  ["a malformed date", "date", "2020-13"],
  ["a bare id that may belong to several types", "subject", "1"],
  ["a reference to another server", "encounter", "https://other.example/fhir/Encounter/1"],
] as const)("%s cannot be judged: the scope reaches no row", ([, parameter, value], { expect }) => {
  expect(rowFilterOf("Observation", { parameter, values: [value] })).toBeUndefined();
  const scopes = parseScopes(`system/Observation.rs?${parameter}=${encodeURIComponent(value)}`);
  if (!scopes.ok) throw new Error(scopes.error.reason);
  const access = { scopes: scopes.value, patient: undefined, shows: () => true };
  expect(rowAccessOf(access, "Observation", "r")).toBeUndefined();
  expect(rowAccessOf(access, "Observation", "s")).toBeUndefined();
});

const decide = (scope: string, ...rules: readonly ReturnType<typeof rule>[]) => {
  const scopes = parseScopes(scope);
  if (!scopes.ok) throw new Error(scopes.error.reason);
  const compiled = compilePolicy(policy(...rules), "sha256:test");
  const access = { scopes: scopes.value, patient: "ann", shows: showsInEachRule(compiled) };
  return evaluate(compiled, access, {
    kind: "search",
    type: "Observation",
    parameters: [],
    joins: [],
    includes: [],
    sort: [],
    count: undefined,
    posted: false,
  });
};

test("two conditions must both hold; the origin is asked for both, and each row is judged again", ({
  expect,
}) => {
  const granted = decide(
    "patient/Observation.rs?category=urn:s|a&code=urn:s|b",
    rule(["Observation"], "everything"),
  );
  if (!granted.ok) throw new Error(granted.error.reason);
  expect(decodeURIComponent(granted.value.ask.query)).toBe(
    "patient=Patient/ann&category=urn:s|a&code=urn:s|b&_count=100",
  );
  const shown = (category: string, code: string) => {
    const row = treeOf({
      resourceType: "Observation",
      id: "o",
      subject: { reference: "Patient/ann" },
      category: [{ coding: [{ system: "urn:s", code: category }] }],
      code: { coding: [{ system: "urn:s", code }] },
    });
    return granted.value.viewOf(factsFor(granted.value, row), base) !== undefined;
  };
  expect([shown("a", "b"), shown("a", "c"), shown("c", "b")]).toEqual([true, false, false]);
});

test("a condition on an element that a rule hides grants nothing: the rows found would reveal the element", ({
  expect,
}) => {
  const scope = "patient/Observation.rs?code=urn:s|b";
  const reasonOf = (...rules: readonly ReturnType<typeof rule>[]) => {
    const granted = decide(scope, ...rules);
    return granted.ok ? "granted" : granted.error.reason;
  };
  const lab = { where: [{ path: "category", in: ["urn:c|lab"] }] };
  const vital = { where: [{ path: "category", in: ["urn:c|vital"] }] };
  expect(reasonOf(rule(["Observation"], ["code", "category"]))).toBe("granted");
  expect(reasonOf(rule(["Observation"], ["category"]))).toBe("scope_insufficient");
  expect(
    reasonOf(rule(["Observation"], ["code", "category"], lab), rule(["Observation"], ["category"], vital)),
  ).toBe("scope_insufficient");
  // A rule that only creates shows no row.
  const creating = { interactions: ["create" as const] };
  expect(
    reasonOf(rule(["Observation"], ["code", "category"]), rule(["Observation"], ["category"], creating)),
  ).toBe("granted");
  const byCategory = decide(
    "patient/Observation.rs?category=urn:c|lab",
    rule(["Observation"], ["code"], lab),
  );
  expect(byCategory.ok ? "granted" : byCategory.error.reason).toBe("scope_insufficient");
});

test("each part of a composite search names a system of its own element", ({ expect }) => {
  const shown = [
    "code.coding[system=urn:codes].code",
    "code.coding[system=urn:codes].system",
    "valueCodeableConcept.coding[system=urn:answers].code",
    "valueCodeableConcept.coding[system=urn:answers].system",
  ];
  const view = compilePolicy(policy(rule(["Observation"], shown)), "x").viewOf("Observation", [
    compileRule(rule(["Observation"], shown)),
  ]).object;
  const definition = searchParametersOf("Observation").get("code-value-concept");
  if (definition === undefined) throw new Error("a parameter of R4");
  const permits = (text: string) => {
    const value = readValue(text, definition, { base: undefined, type: undefined });
    if (value === undefined) throw new Error(text);
    return permitsParameter(searchableBy(view, definition), { definition, values: [value] });
  };
  expect(permits("urn:codes|a$urn:answers|b")).toBe(true);
  for (const text of [
    "urn:answers|a$urn:codes|b",
    "urn:codes|a$urn:codes|b",
    "a$urn:answers|b",
    "urn:codes|a$b",
  ])
    expect(permits(text), text).toBe(false);
});

test("a scope of every type reaches the types that have the parameter, and no row of the rest", ({
  expect,
}) => {
  const scopes = parseScopes("patient/*.rs?code=urn:s|b");
  if (!scopes.ok) throw new Error(scopes.error.reason);
  const access = { scopes: scopes.value, patient: "ann", shows: () => true };
  expect(rowAccessOf(access, "Observation", "r")).toHaveLength(1);
  expect(rowAccessOf(access, "Patient", "r")).toBeUndefined();
  expect(
    factListsOf(
      compilePolicy(policy(rule(["Observation"], "everything")), "x"),
      access,
      "Observation",
    ).decidingPaths("Observation"),
  ).toContainEqual(["code"]);
});

test("a condition on `deceased` is true or false: a hidden date of death is found by no date", ({
  expect,
}) => {
  const dead: Resource = { resourceType: "Patient", deceasedDateTime: "2020-05-05" };
  const living: Resource = { resourceType: "Patient" };
  expect(judged(dead, "deceased", "2020-05-05")).toBeUndefined();
  expect([judged(dead, "deceased", "true"), judged(dead, "deceased", "false")]).toEqual([true, false]);
  expect([judged(living, "deceased", "true"), judged(living, "deceased", "false")]).toEqual([false, true]);
});
