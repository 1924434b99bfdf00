import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { diffPolicies } from "#authoring/diff";
import { narrowPolicy, refusedOf, type PolicyUse } from "#authoring/narrow-policy";
import { parsePolicyDocument, type PolicyDocument } from "#policy/document";
import type { RuleInteraction } from "#policy/schema";

function policy(name: string): PolicyDocument {
  const file = join(import.meta.dirname, `../../policies/${name}.json`);
  const read = parsePolicyDocument(JSON.parse(readFileSync(file, "utf8")));
  if (!read.ok) throw new Error(read.error.pointer);
  return read.value;
}

const used = (
  types: Readonly<Record<string, readonly RuleInteraction[]>>,
  requests: readonly string[] = [],
): PolicyUse => ({
  types: new Map(Object.entries(types).map(([type, interactions]) => [type, new Set(interactions)])),
  operations: new Set(),
  requests,
});

test("what was not used is dropped and nothing is added: types, interactions and operations", () => {
  const whole = policy("hpaymt");
  const use = used({ Patient: ["read"], Claim: ["search"] }, ["Patient/1", "Claim?patient=1"]);
  const narrowed = narrowPolicy(whole, use);
  if (narrowed === undefined) throw new Error("a narrower policy exists");
  expect(new Set(narrowed.policy.rules.flatMap(({ types }) => types))).toEqual(new Set(["Patient", "Claim"]));
  expect(diffPolicies(whole, narrowed.policy).filter(({ change }) => change === "more")).toEqual([]);
  expect(refusedOf(narrowed.policy, whole, use)).toEqual([]);
  expect(refusedOf(narrowed.policy, whole, { requests: ["Claim/1", "Coverage?patient=1"] })).toEqual([
    "Claim/1",
    "Coverage?patient=1",
  ]);
  expect(narrowed.dropped).toContain("Coverage");
  const again = narrowPolicy(narrowed.policy, use);
  expect(again?.dropped, "a policy that was used whole loses nothing").toEqual([]);
});

test("types that only a chain or an include needs stay, because the used requests are decided again", () => {
  const whole = policy("treat");
  const chain = "Observation?patient.family=Okafor";
  const use = used({ Observation: ["search"] }, [chain]);
  const narrowed = narrowPolicy(whole, use);
  expect(narrowed?.policy.rules.flatMap(({ types }) => types)).toContain("Patient");
  expect(refusedOf(narrowed?.policy ?? whole, whole, use)).toEqual([]);
  expect(narrowed?.dropped, "unused writes and operations go all the same").toEqual(
    expect.arrayContaining(["Patient: update", "operation everything"]),
  );
});

test("without any use there is no narrower policy", () => {
  expect(narrowPolicy(policy("hpaymt"), used({}))).toBeUndefined();
});
