import { expect, test } from "vitest";
import { diffPolicies } from "#authoring/diff";
import { narrowPolicy } from "#authoring/narrow-policy";
import { openings } from "#authoring/openings";
import { isReading, readInteraction } from "#fhir/interaction";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { showsInEachRule } from "#policy/relations";
import type { PolicyDocument } from "#policy/schema";
import { policy, rule } from "../policy/granting.ts";
import { nothingThere } from "./nothing-there.ts";

const around = { ...nothingThere, operatorIssuers: new Set<string>() };

/*
 * A condition of a scope counts where each rule of the type shows what it reads. A policy with fewer rules may
 * so give rows to a scope that had none.
 */

const final = rule(["Observation"], "everything", { where: [{ path: "status", in: ["final"] }] });
const preliminary = rule(["Observation"], ["status", "category", "subject", "meta"], {
  where: [{ path: "status", in: ["preliminary"] }],
});
const [both, one] = [policy(final, preliminary), policy(final)];

function permits(document: PolicyDocument): boolean {
  const compiled = compilePolicy(document, "test");
  const scopes = parseScopes("system/Observation.rs?code=http://loinc.org|1234-5");
  const read = readInteraction("GET", ["Observation", "1"], "");
  if (!scopes.ok || !read.ok || !isReading(read.value)) throw new Error("a test's own mistake");
  const access = { scopes: scopes.value, patient: undefined, shows: showsInEachRule(compiled) };
  return evaluate(compiled, access, read.value).ok;
}

const opens = (before: PolicyDocument, after: PolicyDocument) => {
  const change = { before: { policy: "before" }, after: { policy: "after" } };
  return openings([{ kind: "grant", name: "it", ...change }], { before, after }, around);
};

test("a dropped rule that hides what a condition reads opens, since it gives a scope back", () => {
  expect([permits(both), permits(one)]).toEqual([false, true]);
  expect(opens(both, one)).toEqual(["grant it: policy"]);
  const more = diffPolicies(both, one).filter(({ change }) => change === "more");
  expect(new Set(more.map(({ what }) => what))).toEqual(new Set(["condition of a scope"]));
  expect(more.map(({ name }) => name)).toContain("code");
});

test("a dropped rule that shows as much as a rule that stays opens nothing", () => {
  const alike = { ...final, where: [{ path: "status", in: ["preliminary"] }] };
  expect(opens(policy(final, alike), one)).toEqual([]);
});

test("a policy that only creates after it also read counts conditions that it did not count", () => {
  const create = { ...final, interactions: ["create" as const] };
  expect(opens(policy(create, preliminary), policy(create))).toEqual(["grant it: policy"]);
});

test("the access review proposes no policy that gives a scope back", () => {
  const writes = { ...preliminary, interactions: ["update" as const] };
  const use = {
    types: new Map([["Observation", new Set(["read" as const, "search" as const])]]),
    operations: new Set<string>(),
    requests: ["Observation/1"],
  };
  expect(narrowPolicy(policy(final, writes), use)).toBeUndefined();
  const open = { ...final, interactions: ["read" as const, "search" as const, "create" as const] };
  expect(narrowPolicy(policy(open), use)?.dropped).toEqual(["Observation: create"]);
});
