import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isReading, readInteraction } from "#fhir/interaction";
import { isObject, readJson, type JsonObject } from "#fhir/json/json";
import { parseScopes } from "#identity/scopes";
import { originUrls } from "#phi/origin-urls";
import { redactResource } from "#phi/redact";
import { compilePolicy, type CompiledPolicy, type ResourceView } from "#policy/compile";
import { diffPolicies } from "#authoring/diff";
import { readPolicyDocument } from "#policy/document";
import { evaluate } from "#policy/evaluate";
import { evaluateListing } from "#policy/evaluate-listing";
import { factsFor } from "#policy/facts";
import { evaluateWrite } from "#policy/evaluate-write";
import type { PolicyDocument, PolicyRule, RowCondition } from "#policy/schema";
import { origin, policy, rule } from "../policy/granting.ts";
import { inLane } from "../support/lane.ts";

const category = (code: string) => `urn:category|${code}`;
// says nothing about sensitivity
const label = (code: string) => `http://terminology.hl7.org/CodeSystem/v3-ObservationValue|${code}`;

// ---- Random policies over a small world.

const some = <T>(of: readonly T[], most = of.length) =>
  fc.subarray([...of], { minLength: 1, maxLength: most });
const interactions = some(["read", "search", "create"] as const);
const observationRule: fc.Arbitrary<PolicyRule> = fc
  .record({
    interactions,
    category: fc.option(some(["lab", "vital", "survey"].map(category), 2), { nil: undefined }),
    status: fc.option(some(["final", "preliminary"]), { nil: undefined, freq: 3 }),
    labels: fc.option(some(["X", "Y"].map(label)), { nil: undefined }),
    show: fc.option(
      some([
        "status",
        "code",
        "code.coding",
        "category",
        "subject",
        "subject.reference",
        "performer",
        "performer.reference",
        "valueQuantity",
        "value[x]",
        "component[code=urn:part|1]",
        "component[code=urn:part|1,urn:part|2].valueQuantity",
        "identifier[system=urn:a]",
        "identifier[system=urn:a,urn:b]",
        "identifier",
        "meta.lastUpdated",
      ]),
      { nil: undefined },
    ),
    extensions: fc.option(some(["urn:e", "urn:f"]), { nil: undefined }),
    search: fc.option(some(["patient", "status", "identifier"]), { nil: undefined }),
  })
  .map(({ interactions, category, status, labels, show, extensions, search }) => {
    const where = [
      ...(category === undefined ? [] : [{ path: "category", in: category }]),
      ...(status === undefined ? [] : [{ path: "status", in: status }]),
      ...(labels === undefined ? [] : [{ path: "meta.security", notIn: labels }]),
    ];
    return rule(["Observation"], show ?? "everything", {
      interactions,
      ...(where.length === 0 ? {} : { where }),
      ...(extensions === undefined ? {} : { extensions }),
      ...(search === undefined || !interactions.includes("search") ? {} : { search }),
    });
  });
const encounterRule = fc
  .record({
    interactions,
    kinds: fc.option(
      some(
        ["AMB", "IMP"].map((code) => `urn:class|${code}`),
        1,
      ),
      { nil: undefined },
    ),
    show: some(["class", "subject", "period"]),
  })
  .map(({ interactions, kinds, show }) =>
    rule(["Encounter"], show, {
      interactions,
      ...(kinds === undefined ? {} : { where: [{ path: "class", in: kinds }] }),
    }),
  );
const practitionerRule = fc
  .record({
    show: some(["name", "telecom", "gender"]),
    referredBy: some(["Observation:performer", "Encounter:participant"]),
  })
  .map(({ show, referredBy }) => rule(["Practitioner"], show, { interactions: ["read"], referredBy }));
const documents = fc
  .tuple(
    fc.array(observationRule, { maxLength: 3 }),
    fc.array(encounterRule, { maxLength: 2 }),
    fc.option(practitionerRule, { nil: undefined }),
  )
  .map(([observations, encounters, practitioner]) =>
    policy(
      ...observations,
      ...encounters,
      ...(practitioner === undefined ? [] : [practitioner]),
      rule(["Location"], ["name"]),
    ),
  )
  .filter((document) => readPolicyDocument(document).ok);

/**
 * Equal grants in different words: the rules backwards and split by interaction, paths, codes and
 * conditions backwards and twice.
 */
function reworded(document: PolicyDocument): PolicyDocument {
  const rules = document.rules
    .toReversed()
    .flatMap(({ types, interactions, where, show, extensions, search, referredBy, examples }) =>
      interactions.map((interaction) => ({
        types,
        interactions: [interaction],
        show: show === "everything" ? show : show.concat(show).toReversed(),
        why: "45 CFR 164.506(c), in other words.",
        examples,
        ...(where === undefined ? {} : { where: where.concat(where).toReversed().map(backwards) }),
        ...(extensions === undefined ? {} : { extensions }),
        ...(search === undefined || interaction !== "search" ? {} : { search }),
        ...(referredBy === undefined || interaction !== "read" ? {} : { referredBy }),
      })),
    );
  return { ...document, title: "In other words", rules };
}

const backwards = (condition: RowCondition): RowCondition =>
  "in" in condition
    ? { path: condition.path, in: condition.in.toReversed() }
    : { path: condition.path, notIn: condition.notIn.toReversed() };

// ---- The engine's decisions.

const tree = (value: unknown): JsonObject => {
  const read = readJson(new TextEncoder().encode(JSON.stringify(value)));
  if (!read.ok || !isObject(read.value)) throw new Error("a test's own mistake");
  return read.value;
};
const subsets = <T>(of: readonly T[]): readonly (readonly T[])[] =>
  of.reduce<readonly (readonly T[])[]>((all, one) => all.concat(all.map((set) => set.concat([one]))), [[]]);
const coding = (text: string) => ({
  system: text.slice(0, text.indexOf("|")),
  code: text.slice(text.indexOf("|") + 1),
});
const extension = [
  { url: "urn:e", valueString: "canary-e" },
  { url: "urn:f", valueString: "canary-f" },
  { url: "urn:g", valueString: "g" },
];
const observations = subsets(["lab", "vital", "survey"].map(category)).flatMap((categories) =>
  // no rule names "amended"
  ["final", "preliminary", "amended"].flatMap((status) =>
    subsets(status === "amended" ? [] : ["X", "Y"].map(label)).map((labels) =>
      tree({
        resourceType: "Observation",
        id: "1",
        meta: {
          lastUpdated: "2026-01-05T00:00:00Z",
          ...(labels.length === 0 ? {} : { security: labels.map(coding) }),
        },
        text: { status: "generated", div: "<div/>" },
        extension,
        identifier: ["urn:a", "urn:b", "urn:c"].map((system) => ({
          system,
          value: system,
          use: "usual",
          period: { start: "2026" },
        })),
        status,
        ...(categories.length === 0
          ? {}
          : { category: categories.map((one) => ({ coding: [coding(one)], text: "words" })) }),
        code: { coding: [{ system: "urn:code", code: "c", extension }], text: "words" },
        subject: { reference: "Patient/1", display: "Amara" },
        performer: [{ reference: "Practitioner/1", display: "Vera" }],
        valueQuantity: { value: 1, unit: "one" },
        component: ["1", "2", "3"].map((code) => ({
          code: { coding: [{ system: "urn:part", code }], text: "words" },
          valueQuantity: { value: 2 },
          dataAbsentReason: { text: "none" },
        })),
      }),
    ),
  ),
);
const withOtherValue = observations.map((one) => {
  const { valueQuantity: _, ...rest } = one;
  return { ...rest, valueString: "words" };
});
const encounters = [undefined, "AMB", "IMP"].map((code) =>
  tree({
    resourceType: "Encounter",
    id: "1",
    status: "finished",
    ...(code === undefined ? {} : { class: { system: "urn:class", code } }),
    subject: { reference: "Patient/1" },
    period: { start: "2026" },
  }),
);
const practitioner = tree({
  resourceType: "Practitioner",
  id: "1",
  name: [{ family: "Vera" }],
  telecom: [{ system: "phone", value: "1" }],
  gender: "female",
});

const conditions = [
  "patient=1",
  "status=final",
  "status:not=final",
  "code=urn%3Acode%7Cc",
  "code=c",
  "category=urn%3Acategory%7Clab",
  "performer=Practitioner/1",
  "value-quantity=1",
  "value-string=x",
  "identifier=urn%3Aa%7C1",
  "identifier=urn%3Ab%7C1",
  "identifier=1",
  "_lastUpdated=2026",
  "component-code=urn%3Apart%7C1",
  "_include=Observation:performer",
  "_include=Observation:subject",
  "_sort=status",
  "_sort=code",
];
const searches = [
  ...subsets(conditions).filter(
    (set) => set.length <= 2 && set.filter((one) => one.startsWith("_sort")).length < 2,
  ),
  conditions.filter((one) => !one.startsWith("_sort")),
].map((set) => `Observation?${set.join("&")}`);
const requests = [
  ...searches,
  "Observation/1",
  "Encounter/1",
  "Encounter", // a policy may permit it without a shown element behind any parameter
  "Encounter?patient=1",
  "Encounter?class=urn%3Aclass%7CAMB",
  "Location/1",
].map((request) => {
  const [path = "", query = ""] = request.split("?", 2);
  const interaction = readInteraction("GET", path.split("/"), query);
  if (!interaction.ok || !isReading(interaction.value)) throw new Error(`a test's own mistake: ${request}`);
  return { path, interaction: interaction.value };
});
/** A history by time is refused unless each rule shows the time. */
const then = "2026-01-01T00:00:00Z";
const histories = (["Observation", "Encounter"] as const).flatMap((type) =>
  [
    { since: then, at: undefined },
    { since: undefined, at: then },
  ].map(({ since, at }) => ({ kind: "history", type, id: "1", since, at, count: undefined }) as const),
);
const everybody = access("system/*.cruds");
function access(scope: string, patient?: string) {
  const scopes = parseScopes(scope);
  if (!scopes.ok) throw new Error("a test's own mistake");
  return { scopes: scopes.value, patient };
}

/**
 * The released part of each row, by each request; a refusal counts as an empty release.
 *
 * @param names a short name for each released text, the same for the policies that are compared.
 */
function decisions(document: PolicyDocument, names: Map<string, string>): string {
  const compiled = compilePolicy(document, "sha256:test");
  const cuts = cutter(names);
  const decided = requests.map(({ path, interaction }) => {
    const grant = evaluate(compiled, everybody, interaction);
    if (!grant.ok) return [];
    const { viewOf, includes } = grant.value;
    const rows = (path.startsWith("Observation") ? [...observations, ...withOtherValue] : encounters).map(
      (row) => ({ row, facts: factsFor(grant.value, row) }),
    );
    const pairs =
      interaction.kind === "read"
        ? rows.flatMap((old) =>
            rows
              .filter(({ row }, index) => index % 2 === 0 && !("valueString" in row)) // no rule asks for the value
              .map((now) => cuts(old.row, viewOf(old.facts, origin, now.facts))),
          )
        : [];
    const left = [...rows.map(({ row, facts }) => cuts(row, viewOf(facts, origin))), ...pairs];
    const along = includes.map(({ name, targets }) => `${name}>${[...targets].sort().join()}`).sort();
    return left.every((one) => one === "") ? [] : [left, along];
  });
  const listed = histories.map((history) => evaluateListing(compiled, everybody, history).ok);
  return JSON.stringify([decided, listed, written(compiled, cuts), referred(compiled, cuts)]);
}

function written(compiled: CompiledPolicy, cuts: ReturnType<typeof cutter>): readonly (readonly string[])[] {
  const rowsOf = { Observation: observations, Encounter: encounters };
  return (["Observation", "Encounter"] as const).map((type) => {
    const create = evaluateWrite(compiled, everybody, { kind: "create", type });
    const created = create.ok
      ? rowsOf[type].map((row) => cuts(row, create.value.writable(factsFor(create.value, row), origin)))
      : [];
    return created.every((one) => one === "") ? [] : created;
  });
}

function referred(compiled: CompiledPolicy, cuts: ReturnType<typeof cutter>): readonly unknown[] {
  const read = evaluate(compiled, everybody, { kind: "read", type: "Location", id: "1" });
  const held = evaluate(compiled, access("system/Location.r patient/Practitioner.r", "1"), {
    kind: "read",
    type: "Location",
    id: "1",
  });
  if (!read.ok || !held.ok) throw new Error("a test's own mistake");
  return ["Observation:performer", "Encounter:participant"].map((name) =>
    cuts(practitioner, held.value.viewIncluded(factsFor(held.value, practitioner), origin, new Set([name]))),
  );
}

/** Redacts each row by each view once, and answers the name of the text. */
function cutter(names: Map<string, string>) {
  const bases = { origin, public: "https://api.example" };
  const context = { bases, urls: originUrls(bases), viewInside: () => undefined, mayLinkTo: () => true };
  const known = new Map<ResourceView, Map<JsonObject, string>>();
  return (row: JsonObject, view: ResourceView | undefined): string => {
    if (view === undefined) return "";
    const ofView = known.get(view) ?? new Map<JsonObject, string>();
    known.set(view, ofView);
    const settled = ofView.get(row);
    if (settled !== undefined) return settled;
    const cut = redactResource(row, view, context);
    const text = cut.ok ? JSON.stringify(cut.value.resource) : "withheld";
    const name = names.get(text) ?? String(names.size);
    names.set(text, name);
    ofView.set(row, name);
    return name;
  };
}

const pairs = fc.oneof(
  fc.tuple(documents, documents),
  documents.map((one): [PolicyDocument, PolicyDocument] => [one, reworded(one)]),
  fc
    .tuple(documents, documents)
    .map(([one, other]): [PolicyDocument, PolicyDocument] => [
      one,
      {
        ...one,
        rules: [
          ...one.rules.slice(1),
          ...other.rules.slice(0, -1).slice(0, 1),
          ...(one.rules.length === 1 ? one.rules : []),
        ],
      },
    ])
    .filter(([, other]) => readPolicyDocument(other).ok),
);

test("two policies differ in nothing exactly when the engine decides the same by both", () => {
  let alike = 0;
  fc.assert(
    fc.property(pairs, ([one, other]) => {
      // These decisions are under scopes without conditions.
      const differences = diffPolicies(one, other).filter(({ what }) => what !== "condition of a scope");
      const names = new Map<string, string>();
      const same = decisions(one, names) === decisions(other, names);
      if (same) alike += 1;
      expect(differences.length === 0, JSON.stringify(differences.slice(0, 3))).toBe(same);
    }),
    { numRuns: inLane({ fast: 8, slow: 80, long: 80 }) },
  );
  expect(alike).toBeGreaterThan(0);
}, 240_000);

const says = (before: PolicyDocument, after: PolicyDocument) =>
  diffPolicies(before, after).map(({ change, type, interactions, what, name, rows }) =>
    [change === "more" ? "+" : "-", type, interactions.join(" "), what, name, rows]
      .filter((part) => part !== undefined && part !== "")
      .join(" "),
  );

test.for<[string, PolicyDocument, PolicyDocument, readonly string[]]>([
  [
    "an element, and the parameters that read it",
    policy(rule(["Patient"], ["name.family", "birthDate"])),
    policy(rule(["Patient"], ["name.family", "gender"])),
    [
      "+ Patient read search element gender",
      "- Patient read search element birthDate",
      "+ Patient search parameter gender",
      "- Patient search parameter birthdate",
    ],
  ],
  [
    "a slice",
    policy(rule(["Patient"], ["identifier[system=urn:a]"], { interactions: ["read"] })),
    policy(rule(["Patient"], ["identifier[system=urn:a,urn:b].value"], { interactions: ["read"] })),
    [
      "+ Patient read element identifier[system=urn:b].use",
      "+ Patient read element identifier[system=urn:b].value",
      "- Patient read element identifier[system=urn:a].id",
      "- Patient read element identifier[system=urn:a].type",
      "- Patient read element identifier[system=urn:a].system",
      "- Patient read element identifier[system=urn:a].period",
      "- Patient read element identifier[system=urn:a].assigner",
    ],
  ],
  [
    "rows",
    policy(rule(["Observation"], ["status"], { where: [{ path: "category", in: [category("lab")] }] })),
    policy(
      rule(["Observation"], ["status"], {
        where: [{ path: "category", in: [category("lab"), category("vital")] }],
      }),
    ),
    [
      "+ Observation read search interaction id, status category is not urn:category|lab; category is one of urn:category|lab, urn:category|vital",
    ],
  ],
  [
    "a Binary that its id alone finds",
    policy(
      rule(["Binary"], "everything", { interactions: ["read"], referredBy: ["DocumentReference:location"] }),
    ),
    policy(rule(["Binary"], "everything", { interactions: ["read"] })),
    ["- Binary read referred by DocumentReference:location", "+ Binary read referred by its id alone"],
  ],
  [
    "what opens whom nobody owns, an operation, and a relation",
    policy(
      rule(["Practitioner"], "everything", { interactions: ["read"], referredBy: ["Observation:performer"] }),
    ),
    {
      ...policy(
        rule(["Practitioner"], "everything", {
          interactions: ["read"],
          referredBy: ["Encounter:participant"],
        }),
      ),
      operations: ["everything"],
      users: ["panel"],
    },
    [
      "+ user relation panel",
      "+ operation everything",
      "- Practitioner read referred by Observation:performer",
      "+ Practitioner read referred by Encounter:participant",
    ],
  ],
])("a difference is named: %s", ([, before, after, expected]) => {
  expect(says(before, after)).toEqual(expected);
});

test("two rules differ from a single rule for both: an old version leaves by a rule that covers it and the current row", () => {
  const of = (...codes: readonly string[]) =>
    rule(["Observation"], ["status"], {
      interactions: ["read"],
      where: [{ path: "category", in: codes.map(category) }],
    });
  const [apart, together] = [policy(of("lab"), of("vital")), policy(of("lab", "vital"))];
  expect(says(apart, together)).toHaveLength(2);
  expect(says(apart, together)[0]).toMatch(
    /^\+ Observation read old version .* now category is not urn:category\|vital; .*; then category is not/u,
  );
});
