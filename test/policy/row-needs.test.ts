import { test } from "vitest";
import { instant } from "#kernel/clock";
import type { JsonObject } from "#fhir/json/json";
import { TargetBook } from "#fhir/r4/target-book";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { ConsentBook } from "#policy/consent/consent-book";
import { evaluate } from "#policy/evaluate";
import { factsFor } from "#policy/facts";
import { ReferredLabels } from "#policy/sensitivity/referred-labels";
import { rowLabels } from "#policy/sensitivity/row-labels";
import { origin, policy, rule } from "./granting.ts";

const lab = { coding: [{ system: "urn:c", code: "lab" }] };
const to = (reference: string) => ({ reference });

/** The needs of a row, for a reader of Ann's rows of laboratory, and of their Provenances. */
function scene(scopeText = "patient/*.rs", patient: string | undefined = "ann") {
  const scopes = parseScopes(scopeText);
  if (!scopes.ok) throw new Error(scopeText);
  const nobody = { references: new Set<string>(), identifiers: new Set<string>() };
  const request = { recipient: nobody, holder: nobody, purpose: "TREAT", at: instant(0) } as const;
  const publicBase = "https://gateway.example/v1/fhir/main";
  const targets = new TargetBook();
  const book = new ConsentBook({ request, individual: undefined, publicBase, targets, hasConsents: true });
  const referred = new ReferredLabels();
  const document = {
    ...policy(
      rule(["Observation"], "everything", { where: [{ path: "category", in: ["urn:c|lab"] }] }),
      rule(["Provenance"], "everything"),
    ),
    labels: { throughReferences: true },
  };
  const compiled = compilePolicy(document, "sha256:test");
  const access = { scopes: scopes.value, patient, purpose: "TREAT", consents: book, targets, referred };
  const needsOf = (row: JsonObject & { readonly resourceType: "Observation" | "Provenance" }) => {
    const grant = evaluate(compiled, access, { kind: "read", type: row.resourceType, id: "o" });
    if (!grant.ok) throw new Error(grant.error.reason);
    return grant.value.needsOf(factsFor(grant.value, { id: "o", ...row }), origin);
  };
  return { needsOf, book, referred, targets };
}
const observation = { resourceType: "Observation" as const, category: [lab], subject: to("Patient/ann") };

test("a row needs its patients' Consents, then the labels of what it refers to, until these are known", ({
  expect,
}) => {
  const { needsOf, book, referred } = scene("system/*.rs", undefined);
  const row = { ...observation, encounter: to("Encounter/e"), performer: [to("Patient/ben")] };
  expect(needsOf(row)).toEqual({ patients: ["ann", "ben"], referred: [], targets: [] });
  book.learn(["ann", "ben"], new Map());
  const needs = needsOf(row);
  expect(needs).toMatchObject({ patients: [], targets: [] });
  const visit = { resource: "Encounter/e", from: "ann" };
  expect(needs?.referred.map((name) => referred.named(name))).toEqual([visit]);
  referred.learn({ ...visit, from: "ben" }, { labels: rowLabels([]), patients: ["ann"] });
  expect(needsOf(row), "for rows of another patient").toEqual(needs);
  referred.learn(visit, { labels: rowLabels([]), patients: ["ann"] });
  expect(needsOf(row)).toBeUndefined();
});

test("a row needs nothing that its owner, a scope or a condition hides", ({ expect }) => {
  const { needsOf } = scene();
  expect(needsOf(observation)).toMatchObject({ patients: ["ann"] });
  expect(needsOf({ ...observation, subject: to("Patient/zoe") }), "owner").toBeUndefined();
  expect(needsOf({ ...observation, category: [] }), "condition").toBeUndefined();
  const { needsOf: ofScope } = scene("patient/Observation.rs?category=urn:c|vital");
  expect(ofScope(observation), "scope").toBeUndefined();
});

test("a resource inside a row has needs of its own", ({ expect }) => {
  const { needsOf, book, referred } = scene();
  const inside = { resourceType: "Condition", subject: to("Patient/zoe"), encounter: to("Encounter/e") };
  const row = { ...observation, contained: [inside] };
  expect(needsOf(row)).toEqual({ patients: ["ann", "zoe"], referred: [], targets: [] });
  book.learn(["ann", "zoe"], new Map());
  expect(needsOf(row)?.referred.map((name) => referred.named(name))).toEqual(
    ["ann", "zoe"].map((from) => ({ resource: "Encounter/e", from })),
  );
});

test("a Provenance needs its targets first where they say to whom it belongs, and nothing once they hide it", ({
  expect,
}) => {
  const provenance = { resourceType: "Provenance" as const, target: [to("Observation/o1")] };
  const { needsOf, targets } = scene();
  expect(needsOf(provenance)).toEqual({ patients: [], referred: [], targets: ["Observation/o1"] });
  targets.learn("Observation/o1", undefined);
  expect(needsOf(provenance)).toBeUndefined();
  const named = { ...provenance, target: [to("Observation/o1"), to("Patient/ann")] };
  const { needsOf: ofAll } = scene("system/*.rs", undefined);
  expect(ofAll(named)).toMatchObject({ patients: ["ann"], targets: ["Observation/o1"] });
});

test("a row that its own label hides needs no label of what it refers to", ({ expect }) => {
  const { needsOf, book } = scene();
  book.learn(["ann"], new Map());
  const security = [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" }];
  const row = { ...observation, encounter: to("Encounter/e") };
  expect(needsOf(row)).toBeDefined();
  expect(needsOf({ ...row, meta: { security } })).toBeUndefined();
});
