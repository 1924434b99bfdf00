import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readInteraction, type Interaction } from "#fhir/interaction";
import { isArray, isObject, readJson, type Json, type JsonObject } from "#fhir/json/json";
import { parseScopes } from "#identity/scopes";
import { explainRedaction } from "#authoring/explain-redaction";
import { explainSample } from "#authoring/explain-sample";
import { originUrls } from "#phi/origin-urls";
import { compilePolicy } from "#policy/compile";
import { readPolicyDocument } from "#policy/document";
import { dataAbsentReason } from "#policy/view/masked";
import type { Explained } from "#authoring/explain-step";
import type { PolicyDocument } from "#policy/schema";
import { policy, rule } from "../policy/granting.ts";
import { dice, plainTypes, randomResource } from "../phi/random-resource.ts";

const folder = join(import.meta.dirname, "../../policies");
const starters = readdirSync(folder).map((file) => {
  const read = readPolicyDocument(JSON.parse(readFileSync(join(folder, file), "utf8")));
  if (!read.ok) throw new Error(file);
  return compilePolicy(read.value, "");
});

/** The paths of all values, with positions, except placeholders of hidden elements. */
function leaves(value: Json, at = ""): readonly string[] {
  if (isArray(value)) return value.flatMap((item, index) => leaves(item, `${at}[${index}]`));
  if (isObject(value) && value["url"] === dataAbsentReason) return [];
  if (!isObject(value)) return value === null ? [] : [at]; // null keeps a place in a list
  return Object.entries(value).flatMap(([name, member]) =>
    leaves(member, at === "" ? name : `${at}.${name}`),
  );
}

const isBelow = (path: string, of: readonly string[]) =>
  of.some((one) => path === one || path.startsWith(`${one}.`) || path.startsWith(`${one}[`));

test("for any resource and view, each value leaves unless it is listed as removed, and the listed changes account for every difference", () => {
  const bases = { origin: "https://origin.invalid/fhir", public: "https://api.example" };
  const context = { bases, urls: originUrls(bases), viewInside: () => undefined, mayLinkTo: () => true };
  let cutSome = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...starters),
      fc.constantFrom(...plainTypes),
      fc.integer(),
      (policy, type, seed) => {
        const rules = policy.rulesFor(type).filter((rule) => rule.interactions.has("read"));
        fc.pre(rules.length > 0);
        const resource = randomResource(type, dice(seed));
        const explained = explainRedaction(resource, policy.viewOf(type, rules), context);
        if (!explained.ok) return;
        const { after, changes } = explained.value;
        const removed = changes.filter(({ kind }) => kind === "removed").map(({ path }) => path);
        const kept = leaves(resource).filter((path) => !isBelow(path, removed));
        const left = leaves(after).filter(
          (path) =>
            !path.startsWith("meta.tag") && !(path === "deceasedBoolean" && !("deceasedBoolean" in resource)),
        );
        expect(left.length, JSON.stringify([resource, after, changes])).toBe(
          kept.filter((path) => !path.startsWith("meta.tag")).length,
        );
        if (removed.length > 0) cutSome += 1;
      },
    ),
    { numRuns: 1_000 },
  );
  expect(cutSome).toBeGreaterThan(50);
});

const tree = (value: unknown): JsonObject => {
  const read = readJson(new TextEncoder().encode(JSON.stringify(value)));
  if (!read.ok || !isObject(read.value)) throw new Error("a test's own mistake");
  return read.value;
};

function about(document: PolicyDocument, scope: string, patient?: string): Explained {
  const scopes = parseScopes(scope);
  if (!scopes.ok) throw new Error("a test's own mistake");
  return { document, policy: compilePolicy(document, ""), access: { scopes: scopes.value, patient } };
}

function asked(method: string, path: string): Interaction {
  const read = readInteraction(method, path.split("/"), "");
  if (!read.ok) throw new Error("a test's own mistake");
  return read.value;
}

const document = policy(
  rule(
    ["Observation"],
    ["status", "code.coding", "subject.reference", "contained", "component[code=urn:c|1]"],
    {
      interactions: ["read", "search", "update"],
      where: [{ path: "status", in: ["final"] }],
    },
  ),
);
const observation = {
  resourceType: "Observation",
  id: "o1",
  contained: [{ resourceType: "Patient", id: "p", name: [{ family: "Okafor" }] }],
  extension: [{ url: "urn:e", valueString: "x" }],
  status: "final",
  code: { coding: [{ system: "urn:c", code: "1" }], text: "words" },
  subject: { reference: "Patient/1", display: "Amara Okafor" },
  component: ["1", "2"].map((code) => ({ code: { coding: [{ system: "urn:c", code }] }, valueString: code })),
  note: [{ text: "see chart" }],
};

test("each removed element is listed with its reason", () => {
  const { kept, rules, changes } = explainSample(
    about(document, "system/*.rs"),
    asked("GET", "Observation/o1"),
    tree(observation),
  );
  expect(kept).toEqual([]);
  expect(rules).toEqual(["/rules/0"]);
  expect(changes.map(({ kind, path, why }) => `${kind} ${path}: ${why}`)).toEqual([
    "removed contained[0]: no rule and scope to read Patient covers it",
    "removed extension: no rule that covers this row lists its URL",
    "removed code.text: no rule that covers this row shows it",
    "removed subject.display: no rule that covers this row shows it",
    "removed component[1]: it is in none of the shown slices",
    "removed note: no rule that covers this row shows it",
    "added meta.tag: SUBSETTED: the view does not show everything, whatever the resource has",
  ]);
});

test.for([
  ["another patient's", "patient/*.rs", observation, /the scopes do not cover it, or not provably/u],
  [
    "under a sensitivity label",
    "system/*.rs",
    {
      ...observation,
      meta: { security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" }] },
    },
    /security label above N/u,
  ],
  [
    "outside every rule's condition",
    "system/*.rs",
    { ...observation, status: "preliminary" },
    /^\/rules\/0 covers only rows where status is final$/u,
  ],
  [
    "of a type without a rule",
    "system/*.rs",
    { resourceType: "Encounter", id: "e" },
    /the request concerns no Encounter/u,
  ],
  [
    "with an unknown modifier extension",
    "system/*.rs",
    { ...observation, modifierExtension: [{ url: "urn:m", valueBoolean: true }] },
    /modifier extension/u,
  ],
] as const)("a sample that is %s does not leave, and the reason is stated", ([, scope, sample, why]) => {
  const { kept, after } = explainSample(
    about(document, scope, "2"),
    asked("GET", "Observation/o1"),
    tree(sample),
  );
  expect(after).toBeUndefined();
  expect(kept).toHaveLength(1);
  expect(kept[0]).toMatch(why);
});

test("an element with a label of its own is listed with its reason, and a code that labels is named with its value sets", () => {
  const label = {
    url: "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
    valueCoding: { system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" },
  };
  const sample = { ...observation, note: [{ text: "see chart", extension: [label] }] };
  const { changes } = explainSample(
    about(document, "system/*.rs"),
    asked("GET", "Observation/o1"),
    tree(sample),
  );
  expect(changes.map(({ path, why }) => `${path}: ${why}`)).toContain(
    "note: it, or a part of it, has a security label that does not leave for this purpose",
  );
  const fromCodes = { ...document, labels: { fromCodes: true } };
  const { kept } = explainSample(
    about(fromCodes, "system/*.rs"),
    asked("GET", "Observation/o1"),
    tree({ ...observation, code: { coding: [{ system: "http://loinc.org", code: "80203-3" }] } }),
  );
  expect(kept.join()).toMatch(/SHIFT SLS-ValueSets \w+.*http:\/\/loinc\.org\|80203-3: HIV/u);
});

test("elements that `_elements` leaves out are distinguished from hidden elements, and rows outside the search from rows that may not leave", () => {
  const read = (query: string) => {
    const interaction = readInteraction("GET", ["Observation"], query);
    if (!interaction.ok) throw new Error("a test's own mistake");
    return explainSample(about(document, "system/*.rs"), interaction.value, tree(observation));
  };
  const { changes } = read("_elements=status,note");
  expect(changes).toContainEqual({
    kind: "removed",
    path: "subject",
    why: "_elements or _summary leaves it out",
  });
  expect(changes).toContainEqual({
    kind: "removed",
    path: "note",
    why: "no rule that covers this row shows it",
  });
  expect(read("subject=Patient/2")).toMatchObject({
    kept: ["it does not match the search parameters"],
    after: undefined,
  });
});

test("a sample of a write is judged by the rule to write", () => {
  const { writes, kept, changes } = explainSample(
    about(document, "system/*.cruds"),
    asked("PUT", "Observation/o1"),
    tree(observation),
  );
  expect([writes, kept]).toEqual([true, []]);
  expect(changes.map(({ path }) => path)).toContain("note");
  const refused = explainSample(
    about(document, "system/*.cruds"),
    asked("PUT", "Observation/o1"),
    tree({ ...observation, status: "amended" }),
  );
  expect(refused).toMatchObject({
    writes: true,
    after: undefined,
    kept: ["/rules/0 covers only rows where status is final"],
  });
});
