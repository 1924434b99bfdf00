import { test } from "vitest";
import { searchParametersOf } from "#fhir/search/parameters";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
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
  expect(by(first)).not.toBe(known); // the oldest question left first
  expect(by(first).factPaths("Observation")).toEqual(known.factPaths("Observation"));
});
