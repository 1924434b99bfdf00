import { test } from "vitest";
import { readInteraction } from "#fhir/interaction";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { searchParametersOf } from "#fhir/search/parameters";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { factListsOf, factsFor } from "#policy/facts";
import { decide, grant, origin, policy, rule } from "./granting.ts";

const document = policy(
  rule(["Observation", "Patient"], ["id", "subject"]),
  rule(["Observation"], ["status"], { where: [{ path: "category", in: ["urn:c|lab"] }] }),
  rule(["Observation"], ["code"], { interactions: ["create"] }),
);

test("what follows from rules alone is one object for every request", ({ expect }) => {
  const compiled = compilePolicy(document, "sha256:test");
  const rules = compiled.rulesTo("Observation", "read");
  expect(compiled.rulesTo("Observation", "read")).toBe(rules);
  expect(rules).toEqual(compiled.rulesFor("Observation").slice(0, 2));
  expect(compiled.viewOf("Observation", [...rules])).toBe(compiled.viewOf("Observation", rules));
  expect(compiled.viewOf("Observation", rules)).not.toBe(compiled.viewOf("Observation", rules.slice(0, 1)));
  expect(compiled.viewOf("Patient", rules.slice(0, 1))).not.toBe(
    compiled.viewOf("Observation", rules.slice(0, 1)),
  );
  expect(compiled.withheldBy("Observation", rules)).toBe(compiled.withheldBy("Observation", [...rules]));
  expect([...compiled.withheldBy("Observation", rules)].sort()).toEqual(
    [...new Set(rules.flatMap((one) => compiled.viewOf("Observation", [one]).hidden))].sort(),
  );
});

test("nothing of a request is remembered: the second asker gets only the rows of the second patient", ({
  expect,
}) => {
  const compiled = compilePolicy(document, "sha256:test");
  expect(compiled.rulesTo("Observation", "search")).toHaveLength(2);
  for (const patient of ["ann", "ben"]) {
    const granted = decide(document, "Observation?status=final", "patient/*.rs", patient);
    if ("reason" in granted) throw new Error(granted.reason);
    const covered = ["ann", "ben"].filter(
      (owner) =>
        granted.viewOf(
          factsFor(granted, {
            resourceType: "Observation",
            subject: { reference: `Patient/${owner}` },
            category: [{ coding: [{ system: "urn:c", code: "lab" }] }],
          }),
          origin,
        ) !== undefined,
    );
    expect(covered).toEqual([patient]);
    expect(granted.ask.query).toContain(patient);
  }
  expect(grant(document, "Observation?_id=1").withheldPaths).toEqual(
    grant(document, "Observation?_id=2").withheldPaths,
  );
});

test("the lists of facts are one object for one question, and a policy remembers at most 256 questions", ({
  expect,
}) => {
  const compiled = compilePolicy(document, "sha256:test");
  const scopes = parseScopes("system/*.rs");
  if (!scopes.ok) throw new Error("no scopes");
  const access = { scopes: scopes.value };
  const definitions = [...searchParametersOf("Observation").values()];
  const by = (...parameters: typeof definitions) =>
    factListsOf(compiled, access, "Observation", { parameters, joins: [], links: [] });
  const [first, second] = definitions;
  if (first === undefined || second === undefined) throw new Error("no parameters");
  const known = by(first);
  expect(by(first)).toBe(known);
  expect(known.factPaths("Observation")).toBe(known.factPaths("Observation"));
  expect(by(second)).not.toBe(known);
  for (const text of ["Nothing", "constructor", ""])
    expect(known.factPaths(text), "an origin may send any text as a type").toBe(known.factPaths("no type"));
  let others = 0;
  for (const one of definitions)
    for (const two of definitions) if (others < 300 && by(one, two) !== undefined) others += 1;
  expect(others).toBe(300);
  expect(by(first)).not.toBe(known); // forgotten with the other questions
  expect(by(first).factPaths("Observation")).toEqual(known.factPaths("Observation"));
});

test("a client's includes and repeated parameters are no questions to remember, and a repeated include is one", ({
  expect,
}) => {
  const scopes = parseScopes("system/*.rs");
  if (!scopes.ok) throw new Error("no scopes");
  const compiled = compilePolicy(policy(rule(["Observation", "Patient"], "everything")), "sha256:test");
  const asked = (query: string) => {
    const interaction = readInteraction("GET", ["Observation"], query);
    if (!interaction.ok || interaction.value.kind !== "search") throw new Error("no search");
    const decision = evaluate(compiled, { scopes: scopes.value, patient: undefined }, interaction.value);
    if (!decision.ok) throw new Error(decision.error.reason);
    return decision.value;
  };
  const plain = asked("status=final");
  const wild = asked(Array.from({ length: 16 }, () => "_include=*").join("&") + "&status=final");
  expect(wild.includes).toEqual(asked("_include=*").includes);
  expect(wild.decidingPaths).toBe(plain.decidingPaths);
  expect(wild.factPaths("Patient")).toEqual(plain.factPaths("Patient"));
  expect(wild.factPaths("Observation")).toEqual(expect.arrayContaining([["performer"]]));
  expect(asked("status=final&status=final").factPaths).toBe(plain.factPaths);
});

test("more included references than a page is searched for are refused", ({ expect }) => {
  const every = policy(rule([...r4ResourceTypes], "everything"));
  const wildcards = "_revinclude=*&_revinclude:iterate=*";
  const some = decide(every, `Patient?${wildcards}`);
  if ("reason" in some) throw new Error(some.reason);
  expect(some.includes.length).toBeGreaterThan(600);
  const references = (type: string) =>
    [...searchParametersOf(type).values()].filter(({ type, paths }) => type === "reference" && paths).length;
  const types = r4ResourceTypes.filter((type) => references(type) > 8).slice(0, 14);
  const more = types.map((type) => `_include:iterate=${type}:*`).join("&");
  expect(decide(every, `Patient?${wildcards}&${more}`)).toEqual({ reason: "too_many_joins" });
});
