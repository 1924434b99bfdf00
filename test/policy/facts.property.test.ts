import * as fc from "fast-check";
import { join } from "node:path";
import { describe, test } from "vitest";
import { parseAst } from "vitest/node";
import { Facts, type FactPath } from "#fhir/json/facts";
import { isObject, property, textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { concernedBy } from "#fhir/r4/concerned-patients";
import { isListing, isReading, readInteraction } from "#fhir/interaction";
import { searchParametersOf } from "#fhir/search/parameters";
import { parseScopes } from "#identity/scopes";
import { compilePolicy, type CompiledPolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { evaluateListing } from "#policy/evaluate-listing";
import { factsFor } from "#policy/facts";
import type { Grant } from "#policy/grant";
import type { Access } from "#policy/row-access";
import type { PolicyRule } from "#policy/schema";
import { resourcesIn, noSharedData } from "../phi/shared-data.ts";
import { sourcesOf } from "../support/import-graph.ts";
import { inLane } from "../support/lane.ts";
import { child, children, nameOf, nodesBelow, type Node } from "../support/syntax-tree.ts";
import { decisions, type Decide, type Granting } from "./decisions.ts";
import { origin, policy, rule } from "./granting.ts";
import { mutatedRow } from "./mutated-row.ts";
import { patients, policyOf, requestOf, scopesOf, Tape, worldOf } from "./small-world.ts";
import { UnlistedFact, watched } from "./watched-facts.ts";

/** Every member of a resource as a fact: a decision about the tree itself would read them. */
const whole = (resource: JsonObject): Facts =>
  Facts.of(
    resource,
    Object.keys(resource).map((name) => [name] as const),
  );
const listed = (resource: JsonObject, listOf: (type: string) => readonly FactPath[]): Facts => {
  const paths = listOf(textAt(resource, "resourceType") ?? "");
  return watched(Facts.of(resource, paths), paths);
};

/** Every grant that a request leads to. */
function grantsOf(policy: CompiledPolicy, access: Access, request: string): readonly Grant[] {
  const [path = "", query = ""] = request.split("?", 2);
  const interaction = readInteraction("GET", path.split("/"), query);
  if (!interaction.ok) return [];
  const further = (grant: Grant): readonly Grant[] =>
    grant.expects.kind === "search"
      ? [
          grant,
          ...grant.expects.joins.flatMap(({ hops }) => hops.flatMap(further)),
          ...grant.expects.further.flatMap(further),
        ]
      : [
          grant,
          grant.expects.whenContextIsSeen(),
          grant.expects.referredBy(new Set(["Observation:performer"])),
          ...grant.expects.referrers.map(({ search }) => search),
        ];
  if (isReading(interaction.value)) {
    const granted = evaluate(policy, access, interaction.value);
    return granted.ok ? further(granted.value) : [];
  }
  if (!isListing(interaction.value)) return [];
  const granted = evaluateListing(policy, access, interaction.value);
  if (!granted.ok) return [];
  switch (granted.value.kind) {
    case "history":
      return further(granted.value.read);
    case "lastn":
      return further(granted.value.search);
    case "everything":
      return [
        granted.value.including,
        ...[...granted.value.rows.values()].flatMap(({ search, read }) => [search, read]),
      ];
  }
}

/** The decisions that differ between the tree and its facts, or read more than the facts. */
function differences(granting: Granting, resource: JsonObject, other: JsonObject): readonly string[] {
  return Object.entries(decisions).flatMap(([name, decide]) => {
    const said = (make: Parameters<typeof decide>[0]["make"]): unknown => {
      try {
        return decide({ resource, other, make, granting });
      } catch (error) {
        if (error instanceof UnlistedFact) return `reads ${error.message}`;
        throw error;
      }
    };
    const [expected, found] = [said(whole), said(listed)];
    return isAlike(expected, found) ? [] : [`${name}: ${shown(expected)} became ${shown(found)}`];
  });
}

/** Views are compared by identity: a policy has one for each set of rules. */
const isAlike = (one: unknown, other: unknown): boolean =>
  Array.isArray(one) && Array.isArray(other)
    ? one.length === other.length && one.every((item, index) => isAlike(item, other[index]))
    : one === other;
const shown = (value: unknown): string =>
  JSON.stringify(value, (key, member: unknown) => (key === "object" ? "a view" : member)) ?? "nothing";

test("any object in place of an object whose presence alone decides has the same decisions", ({ expect }) => {
  const compiled = compilePolicy(
    policy(rule(["Observation", "List", "Encounter", "MedicationDispense"], "everything")),
    "sha256:test",
  );
  const access = accessOf(["patient/*.cruds", "system/*.rs"], "ann", ["ann"]);
  const exchanged = (row: JsonObject, paths: readonly FactPath[]): JsonObject => ({
    ...row,
    ...Object.fromEntries(
      paths.flatMap(([member]) =>
        isObject(property(row, member) ?? null)
          ? [[member, { reference: "Patient/ben", type: "Group" }]]
          : [],
      ),
    ),
  });
  let found = 0;
  for (const [type, member] of [
    ["Observation", "encounter"],
    ["List", "encounter"],
    ["Encounter", "partOf"],
    ["MedicationDispense", "context"],
  ] as const) {
    for (const owner of [{}, { subject: { reference: "Patient/ann" } }, { subject: { display: "Ann" } }]) {
      const [grant] = grantsOf(compiled, access, `${type}?_count=10`);
      if (grant === undefined) throw new Error(type);
      expect(grant.presencePaths(type)).toContainEqual([member]);
      const row = { resourceType: type, id: "x", ...owner, [member]: { reference: "Encounter/e" } };
      const granting = { policy: compiled, access, grant, patients };
      for (const [name, decide] of Object.entries(decisions)) {
        const [one, two] = [row, exchanged(row, grant.presencePaths(type))].map((resource) =>
          decide({ resource, other: row, make: listed, granting }),
        );
        expect(isAlike(one, two), `${name} ${JSON.stringify(row)}`).toBe(true);
        found += 1;
      }
    }
  }
  expect(found).toBeGreaterThan(100);
  // A search that tests the element reads its value.
  const [grant] = grantsOf(compiled, access, "Observation?encounter=Encounter/e");
  expect(grant?.presencePaths("Observation")).toEqual([]);
});

const accessOf = (scopes: readonly string[], patient: string, users: readonly string[]): Access => {
  const parsed = parseScopes(scopes.join(" "));
  if (!parsed.ok) throw new Error("a test's own mistake");
  return { scopes: parsed.value, patient, usersPatients: new Set(users), shows: () => true };
};

test("rows that meet the same conditions, and have the same other deciding facts, have the same view", ({
  expect,
}) => {
  const compiled = compilePolicy(
    policy(
      rule(["Observation"], "everything", { where: [{ path: "code", notIn: ["urn:s|a"] }] }),
      rule(["Observation"], ["status", "method"], { where: [{ path: "method", in: ["urn:s|b"] }] }),
      rule(["Observation"], ["status"], { where: [{ path: "meta.tag", in: ["urn:s|t"] }] }),
    ),
    "sha256:test",
  );
  const access = accessOf(["system/*.rs"], "ann", ["ann"]);
  const grantOf = (request: string): Grant => {
    const [grant] = grantsOf(compiled, access, request);
    if (grant === undefined) throw new Error(request);
    return grant;
  };
  const grant = grantOf("Observation?_count=10");
  // a further reader decides by the value
  expect(grant.conditionPaths("Observation")).toEqual([["code"], ["method"]]);
  expect(grantOf("Observation?code=x").conditionPaths("Observation")).toEqual([["method"]]);
  const coded = [
    undefined,
    {},
    "a",
    { text: "a" },
    ...["a", "b", "c"].map((code) => ({ coding: [{ code }] })),
  ];
  const systems = ["b", "c"].map((code) => ({ coding: [{ system: "urn:s", code, display: code }] }));
  const views = new Map<string, Set<unknown>>();
  for (const tag of [[], [{ system: "urn:s", code: "t" }]])
    for (const code of [...coded, ...systems])
      for (const method of [...coded, ...systems]) {
        const row = {
          resourceType: "Observation",
          meta: { tag },
          ...(code !== undefined && { code }),
          ...(method !== undefined && { method }),
        };
        const facts = factsFor(grant, row);
        const key = `${JSON.stringify(tag)} ${grant.conditionsMet("Observation", facts)}`;
        const known = views.get(key) ?? new Set();
        views.set(key, known.add(grant.viewOf(facts, origin)));
      }
  expect([...views.values()].map(({ size }) => size)).toEqual([...views].map(() => 1));
  expect(views.size).toBeGreaterThan(6);
});

test("every decision on the facts of a resource equals the decision on the resource, and reads no unlisted member", ({
  expect,
}) => {
  let [granted, covered] = [0, 0];
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 10_000 }), { minLength: 700, maxLength: 700, size: "max" }),
      (choices) => {
        const tape = new Tape(choices);
        const world = worldOf(tape).flatMap(({ now, before }) =>
          before === undefined ? [now] : [now, before],
        );
        const access = accessOf(scopesOf(tape), tape.of(...patients), tape.some(patients));
        const compiled = compilePolicy(policyOf(tape), "sha256:test");
        const grants = grantsOf(
          compiled,
          access,
          requestOf(
            tape,
            world.map((now) => ({ now, before: undefined })),
          ),
        );
        for (const grant of grants.slice(0, 3)) {
          granted += 1;
          for (let rows = 6; rows > 0; rows -= 1) {
            const [one, two] = [world, world].map((some) => some[tape.below(some.length)] ?? {});
            const row = rows > 2 ? mutatedRow(one ?? {}, tape) : (one ?? {});
            const facts = factsFor(grant, row);
            if (grant.viewOf(facts, "https://origin.example.org/r4") !== undefined) covered += 1;
            const granting = { policy: compiled, access, grant, patients };
            expect(differences(granting, row, two ?? {}), JSON.stringify(row)).toEqual([]);
          }
        }
      },
    ),
    { numRuns: inLane({ fast: 40, slow: 400, long: 1_000 }) },
  );
  // The property asked about rows that leave: a run has about 45 grants and 80 rows.
  expect(granted).toBeGreaterThan(5);
  expect(covered).toBeGreaterThan(5);
});

/** The declarations in a source that take a parameter of this type: exported functions, members, methods. */
function takersOf(type: string, file: string, text: string): readonly string[] {
  if (!text.includes(type)) return [];
  const takes = (node: Node | undefined): boolean =>
    children(node, "params").some((parameter) => {
      const inner = parameter.type === "RestElement" ? child(parameter, "argument") : parameter;
      const annotations = [child(parameter, "typeAnnotation"), child(inner, "typeAnnotation")];
      return annotations.some(
        (annotation) =>
          annotation !== undefined &&
          nodesBelow(annotation).some(
            (node) => node.type === "TSTypeReference" && nameOf(child(node, "typeName")) === type,
          ),
      );
    });
  const named = nodesBelow(parseAst(text, { lang: "ts" }, file) as object as Node).flatMap((node) => {
    switch (node.type) {
      case "FunctionDeclaration":
        return takes(node) ? [nameOf(child(node, "id"))] : [];
      case "VariableDeclarator":
        return takes(child(node, "init")) ? [nameOf(child(node, "id"))] : [];
      case "MethodDefinition":
        return takes(child(node, "value")) ? [nameOf(child(node, "key"))] : [];
      case "TSMethodSignature":
        return takes(node) ? [nameOf(child(node, "key"))] : [];
      case "TSPropertySignature":
        return takes(child(child(node, "typeAnnotation"), "typeAnnotation"))
          ? [nameOf(child(node, "key"))]
          : [];
      default:
        return [];
    }
  });
  return named.map((name) => `${file.replace(/^src\/|\.ts$/gu, "")} ${name ?? ""}`);
}

/**
 * Declarations that the decisions of their files are made of, the reading of the labels themselves, and the callers
 * of a grant's decisions for an engine.
 */
const inner: readonly string[] = [
  "policy/scope-filters keysOf",
  "phi/bytes/row-cutter alikeOf", // keeps them
  "phi/bytes/row-cutter judged", // by viewOf
  "phi/bytes/row-cutter mustShow",
  "phi/bytes/row-cutter needsOf",
  "phi/bytes/row-cutter note",
  "phi/bytes/row-cutter timesAsked",
  "phi/bytes/row-cutter viewOf",
  "phi/row-views isFound",
  "phi/row-cutters viewIncluded",
  "phi/disclose cutterOf",
  "phi/part2 part2ScopeOf",
  "phi/everything-page isOwn",
  "phi/everything-page isOwned",
  "fhir/json/facts inlineLabelsOf",
  "fhir/json/facts wholeOf",
  "fhir/json/facts workOn",
  "fhir/search/match ownersIn",
  "gateway/change/plan/plan-delete decideDelete", // takes what was read of the row, and judges by its grant
  "policy/compile constructor", // the codes of a row, for isRowOf
  "policy/compile meetsCondition",
  "fhir/r4/compartment mayInvolveAnother",
  "fhir/r4/target-book learn", // facts by the lists of the target's own grant, judged by isOwnedBy
  "phi/row-views meets",
  "policy/grant-rows by",
  "policy/search/evaluate-search isOwners",
  "policy/search/evaluate-search mustShow",
  "policy/grant-rows opening", // by viewOf and needsOf
  "policy/grant-rows open", // by viewIncluded and needsIncluded
  "policy/grant-rows readableBy",
  "policy/grant-rows viewOfId",
  // by the book's rows of a patient: a row with a statement is a whole tree there
  "policy/grant-rows statementsOn",
  "policy/grant statementsOn",
  "policy/row-weight isOfOtherData", // by viewOfId
  "policy/evaluate-write insideBy",
  "policy/evaluate-write coveringOf",
  "policy/evaluate-write needsOfBody", // by needsOf
  "policy/row-access meetsAll",
  "policy/self-widening covers",
  "policy/self-widening isMore",
  "policy/self-widening rulesShowing",
  "fhir/json/facts absentIn",
  "policy/consent/consent-book capturedFactsOf",
  "policy/consent/consent-book seesTargets",
  "policy/consent/consent-book individualOf",
  "policy/consent/consent-book openerOf", // by of and lacking: which row judges the labels of a content
  "policy/consent/consent-book lacking", // by needsOf
  "fhir/r4/target-book targetsOf",
  "policy/row-weight labelsWithCodes",
  "policy/row-weight needsWhole",
  "policy/row-weight needsOfShown", // by weighRow
  "policy/row-weight withReferredLabels",
  "policy/row-weight consentsOf",
  "policy/row-weight labelsFor",
  "policy/consent/data-period isInDataPeriod",
  // the cause of a refusal, for its record: the decisions themselves refused the row before
  "policy/evaluate-write whyHidden",
  "policy/grant whyHidden",
  // labels alone, as the decision about a labelled row reads them
  "policy/self-widening labelsOfElements",
  "policy/self-widening labelsLess",
  "policy/row-weight whyWithheld",
  // the judgement of an element with labels: the row is a whole tree there
  "phi/labelled-parts leavingFor",
  "policy/grant mayShowLabelled",
  "policy/labels labelsOfElement",
  "policy/row-weight weighElement",
  "policy/row-weight labelsOfCodes",
];

const reader = "reads the paths that it is given, of facts or of a released resource";
const reference = "takes a Reference, of which it reads `reference`";
const change = "compares the whole results of a write";
const record = "names patients for the record, of a resource that leaves; owners are facts too";
/** The declarations that take a tree, and why facts are not enough or not meant. */
const trees: Readonly<Record<string, string>> = {
  "fhir/r4/concerned-patients allConcernedBy": record,
  "fhir/r4/belonging belongingOf": change,
  "fhir/r4/concerned-patients concernedBy": record,
  "fhir/r4/owner-reference owningIn": reader,
  "fhir/r4/concerned-patients containedTypes":
    "takes a whole row: a row with contained resources is judged whole",
  "fhir/r4/concerned-patients readContained":
    "takes a whole row: a row with contained resources is judged whole",
  "fhir/r4/concerned-patients literalType": reference,
  "fhir/r4/concerned-patients localType": reference,
  "fhir/r4/concerned-patients ownersNamed": record,
  "fhir/r4/owner-reference presentIn": reader,
  "fhir/r4/belonging showsOwner": change,
  "fhir/r4/owner-reference takingIn": reader,
  "phi/links referredAt": reader,
  "policy/evaluate-write mayLinkTo": reference,
  "policy/facts factsFor": "makes the facts",
  "policy/grant mayLinkTo": reference,
  "policy/moving identifiersOf": change,
  "policy/row-access coversNamedPatient": reference,
  "policy/self-widening changesOneOf": change,
  "policy/self-widening changesRelation": change,
  "policy/sensitivity/labelled-elements collectParts": change,
  "policy/sensitivity/labelled-elements standingsOf": change,
  "policy/sensitivity/labelled-elements unlabelsElement": change,
  "policy/sensitivity/referred-labels clinicalReferences": "any element of a whole row may refer",
  "policy/sensitivity/referred-labels followed": "any element of a whole row may refer",
  "policy/sensitivity/referred-labels lacking": "any element of a whole row may refer",
  "policy/sensitivity/referred-labels patientsIn": record,
  "policy/sensitivity/referred-labels referredRow": "takes a whole row that the gateway reads for its labels",
  "policy/sensitivity/referred-labels withReferred": "any element of a whole row may refer",
  "policy/sensitivity/row-labels statedLabels": "takes facts, or the whole row that a Consent judges",
  "policy/view/code-list holdsCoding": "takes a CodeableConcept",
  "policy/view/view viewOf": "takes an item of a list: its slice decides, inside the cut",
  "residence/residence rankOf": "takes an Address",
  "residence/residence residenceOf": "takes facts, or a Patient inside a Bundle",
  "residence/residence stateIn": "takes an Address",
  "residence/row-residences note": "goes on into the Patients inside a Bundle",
  "residence/row-residences residenceFacts": "makes the facts",
};

test("a list that lacks any of its paths is noticed: some decision reads each deciding path", ({
  expect,
}) => {
  const compiled = compilePolicy(
    policy(
      rule(["Observation", "Patient", "Binary", "Appointment"], "everything", {
        where: [
          { path: "meta.tag", notIn: ["urn:t|x"] },
          { path: "meta.security", notIn: ["urn:t|x"] },
        ],
      }),
      rule(["Observation"], "everything", { where: [{ path: "code", in: ["urn:c|lab"] }] }),
    ),
    "sha256:test",
  );
  const access = accessOf(
    [
      "patient/*.rs?category=urn:c|lab",
      "user/Observation.r?code=a&date=2020",
      "patient/*.crus",
      "system/Binary.r",
    ],
    "ann",
    [],
  );
  for (const [request, resource] of [
    ["Observation?_id=o&subject=Patient/ann", { resourceType: "Observation", id: "o", meta: {} }],
    ["Patient/ann", { resourceType: "Patient", id: "ann", meta: {} }],
    ["Binary/b", { resourceType: "Binary", id: "b", meta: {} }],
    ["Appointment/a", { resourceType: "Appointment", id: "a", meta: {} }],
  ] as const) {
    const [grant] = grantsOf(compiled, access, request);
    if (grant === undefined) throw new Error(request);
    const paths = grant.decidingPaths(resource.resourceType);
    for (const path of paths) {
      const lacking = (made: JsonObject): Facts => {
        const some = paths.filter((other) => other !== path);
        return watched(Facts.of(made, some), some);
      };
      // The Consents of a row without an owner element depend on its Encounter.
      const concerned: Decide = ({ resource: row, make, granting }) =>
        concernedBy(make(row, granting.grant.decidingPaths), [origin]);
      const noticed = [...Object.values(decisions), concerned].some((decide) => {
        try {
          decide({
            resource,
            other: resource,
            make: lacking,
            granting: { policy: compiled, access, grant, patients },
          });
          return false;
        } catch (error) {
          return error instanceof UnlistedFact;
        }
      });
      expect(noticed, `${request} ${path.join(".")}`).toBe(true);
    }
  }
});

describe.skipIf(noSharedData)("on real and labelled resources (needs ../shared/data)", () => {
  /** Rules for every type, with a condition of each kind wherever R4 has a coded element to search by. */
  const everyType = (resources: readonly JsonObject[]) => {
    const types = [...new Set(resources.map((resource) => textAt(resource, "resourceType") ?? ""))];
    return policy(
      ...types.flatMap((type) => {
        const coded = [...searchParametersOf(type).values()].flatMap(({ type: kind, paths }) =>
          kind === "token" && paths?.length === 1 ? [paths[0]?.join(".") ?? ""] : [],
        );
        const types = [type] as PolicyRule["types"]; // types that real resources have
        return [
          rule(types, "everything", {
            where: coded.slice(0, 3).map((path) => ({ path, notIn: ["urn:c|x"] })),
          }),
          rule(types, ["id"], { interactions: ["read", "search", "create"] }),
        ];
      }),
    );
  };

  test.for([
    ["us-core", 8],
    ["examples-r4", 24],
    ["ds4p-labelled-bundles", 2],
    ["synthea-2020", 400],
  ] as const)(
    "of %s every decision on facts equals the decision on the tree",
    ([folder, every], { expect }) => {
      const all = resourcesIn(folder);
      const step = inLane({ fast: every, slow: Math.ceil(every / 20), long: 1 });
      const some = all.filter((_, index) => index % step === 0);
      const compiled = compilePolicy(everyType(some), "sha256:test");
      const named = (resource: JsonObject) =>
        ["subject", "patient", "beneficiary"]
          .flatMap((name) => valuesAt(resource, [name, "reference"]))
          .flatMap((reference) => (typeof reference === "string" ? [reference.replace("Patient/", "")] : []));
      for (const resource of some) {
        const type = textAt(resource, "resourceType") ?? "";
        const [patient = textAt(resource, "id") ?? "x"] = named(resource);
        for (const scopes of [
          ["patient/*.cruds"],
          ["user/*.rs?category=vital-signs", "patient/*.r?code=a&date=ge2000", "system/*.r"],
        ]) {
          const access = accessOf(scopes, patient, [patient]);
          for (const grant of [
            ...grantsOf(compiled, access, `${type}?_id=${textAt(resource, "id") ?? "x"}`),
            ...grantsOf(compiled, access, `${type}/x`),
          ]) {
            const granting: Granting = { policy: compiled, access, grant, patients: [patient, "other"] };
            expect(
              differences(granting, resource, resource),
              JSON.stringify(property(resource, "id")),
            ).toEqual([]);
            const list = property(resource, "contained");
            const inside = Array.isArray(list) ? list.filter((item) => isObject(item)) : [];
            for (const nested of inside) expect(differences(granting, nested, resource)).toEqual([]);
          }
        }
      }
    },
  );
});

describe("no decision is forgotten", () => {
  const sources = sourcesOf(join(import.meta.dirname, "../.."), ["src"]);

  test("every declaration that takes facts is in the table of decisions, or is called by a decision of its file", ({
    expect,
  }) => {
    const takers = [...sources].flatMap(([file, text]) => takersOf("Facts", file, text));
    expect([...new Set(takers)].sort()).toEqual([...Object.keys(decisions), ...inner].sort());
  });

  test("in the files that decide, a declaration takes a tree only for a purpose that is named here", ({
    expect,
  }) => {
    // A Consent reads every Coding and reference of a row, so a row under a consent is read whole.
    const deciding =
      /^src\/(?:policy\/(?!consent\/).*|residence\/.*|fhir\/r4\/(?:belonging|compartment|compartment-tables|concerned-patients|owner-reference)|fhir\/search\/match|phi\/links)\.ts$/u;
    const takers = [...sources].flatMap(([file, text]) =>
      deciding.test(file) ? takersOf("JsonObject", file, text) : [],
    );
    expect([...new Set(takers)].sort()).toEqual(Object.keys(trees).sort());
  });
});
