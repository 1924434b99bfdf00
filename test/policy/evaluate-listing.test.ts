import * as fc from "fast-check";
import { test } from "vitest";
import { isListing, readInteraction } from "#fhir/interaction";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { evaluateListing, type ListingGrant } from "#policy/evaluate-listing";
import type { PolicyRefusal } from "#policy/grant";
import { factsFor } from "#policy/facts";
import type { PolicyDocument } from "#policy/schema";
import { policy, rule } from "./granting.ts";

const operations: PolicyDocument["operations"] = ["everything", "lastn"];
function decide(
  document: PolicyDocument,
  request: string,
  scope = "system/*.rs",
  patient = "amara",
): ListingGrant | PolicyRefusal {
  const [path = "", query = ""] = request.split("?", 2);
  const [interaction, scopes] = [readInteraction("GET", path.split("/"), query), parseScopes(scope)];
  if (!interaction.ok || !scopes.ok || !isListing(interaction.value))
    throw new Error(`no listing: ${request}`);
  const decision = evaluateListing(
    compilePolicy(document, "sha256:test"),
    { scopes: scopes.value, patient },
    interaction.value,
  );
  return decision.ok ? decision.value : decision.error;
}
const typesAsked = (decision: ListingGrant | PolicyRefusal) => {
  if (!("kind" in decision) || decision.kind !== "everything") return decision;
  return /(?:^|&)_type=([^&]*)/u.exec(decision.ask.query)?.[1]?.split(",").toSorted();
};

const record = { ...policy(rule(["Patient", "Observation", "Condition"], "everything")), operations };

test("everything is of the types that may be both searched and read, and of the patient it is called for", ({
  expect,
}) => {
  expect(typesAsked(decide(record, "Patient/amara/$everything"))).toEqual([
    "Condition",
    "Observation",
    "Patient",
  ]);
  expect(typesAsked(decide(record, "Patient/amara/$everything?_type=Condition,Immunization"))).toEqual([
    "Condition",
  ]);
  expect(
    typesAsked(
      decide(
        record,
        "Patient/amara/$everything",
        "system/Patient.rs system/Observation.r system/Condition.s",
      ),
    ),
  ).toEqual(["Patient"]);
  const some = {
    ...policy(
      rule(["Patient"], "everything"),
      rule(["Observation"], "everything", { interactions: ["read"] }),
    ),
    operations,
  };
  expect(typesAsked(decide(some, "Patient/amara/$everything"))).toEqual(["Patient"]);
  expect(decide(some, "Patient/amara/$everything?_type=Observation")).toEqual({
    reason: "rule_missing",
    type: "Observation",
    interaction: "search",
  });
  expect(decide(record, "Patient/amara/$everything", "system/Observation.rs")).toMatchObject({
    reason: "scope_insufficient",
    type: "Patient",
  });
});

test("everything leaves out a type whose view hides its owner, and by time a type whose view hides its times", ({
  expect,
}) => {
  const document = {
    ...policy(
      rule(["Patient"], "everything"),
      rule(["Observation"], ["code", "subject"]),
      rule(["Condition"], ["code"]),
      rule(["Immunization"], ["patient", "occurrence[x]", "meta.lastUpdated", "status"]),
    ),
    operations,
  };
  const types = (query: string) => typesAsked(decide(document, `Patient/amara/$everything${query}`));
  expect(types("")).toEqual(["Immunization", "Observation", "Patient"]);
  expect(types("?start=2026")).toEqual(["Patient"]); // R4 has a reaction's date for an immunization as well
  expect(types("?_since=2026-01-01")).toEqual(["Immunization", "Patient"]);
});

test("an operation needs a policy that allows it", ({ expect }) => {
  const none = policy(rule(["Patient", "Observation"], "everything"));
  expect(decide(none, "Patient/amara/$everything")).toEqual({
    reason: "operation_not_granted",
    operation: "everything",
  });
  expect(decide(none, "Observation/$lastn?patient=amara")).toEqual({
    reason: "operation_not_granted",
    operation: "lastn",
  });
});

test("the last of each kind is a search by time, and refused where the time is hidden", ({ expect }) => {
  expect(decide(record, "Observation/$lastn?patient=amara&max=2", "patient/*.rs")).toMatchObject({
    kind: "lastn",
    max: 2,
    question: "patient=amara&max=2",
    search: { ask: { path: "Observation", query: "patient=amara&_sort=-date&_count=1000" } },
  });
  const hidden = { ...policy(rule(["Observation"], ["code", "subject"])), operations };
  expect(decide(hidden, "Observation/$lastn?patient=amara")).toEqual({
    reason: "sort_hidden",
    parameter: "date",
  });
});

test("a history is of a resource that may be read; of a type only where every row may be", ({ expect }) => {
  expect(decide(record, "Observation/1/_history", "patient/*.rs")).toMatchObject({
    kind: "history",
    showsDeleted: false,
  });
  expect(decide(record, "Observation/1/_history")).toMatchObject({ kind: "history", showsDeleted: true });
  expect(decide(record, "Observation/_history")).toMatchObject({
    kind: "history",
    ask: { path: "Observation/_history" },
  });
  const labs = policy(
    rule(["Observation"], "everything", { where: [{ path: "category", in: ["urn:c|lab"] }] }),
  );
  for (const [document, scope] of [
    [record, "patient/*.rs"],
    [record, "system/Observation.rs?category=urn:c|lab"],
    [labs, "system/*.rs"],
  ] as const)
    expect(decide(document, "Observation/_history", scope)).toEqual({
      reason: "history_needs_unrestricted_access",
      type: "Observation",
    });
  expect(decide(record, "Immunization/1/_history")).toMatchObject({ reason: "rule_missing" });
  expect(decide(record, "Observation/1/_history", "system/*.s")).toMatchObject({
    reason: "scope_insufficient",
  });
});

test("a resource without an owner, readable only by reference, has no history", ({ expect }) => {
  const document = policy(
    rule(["Observation"], "everything"),
    rule(["Practitioner"], "everything", { interactions: ["read"], referredBy: ["Observation:performer"] }),
  );
  expect(decide(document, "Practitioner/p/_history", "patient/*.rs")).toMatchObject({
    reason: "outside_patient_compartment",
  });
  expect(decide(document, "Practitioner/p/_history", "system/*.rs")).toMatchObject({ kind: "history" });
});

test("a version is judged by its own content and by the current resource", ({ expect }) => {
  const labs = policy(
    rule(["Observation"], "everything", { where: [{ path: "category", in: ["urn:c|lab"] }] }),
  );
  const version = (code: string, more: object = {}) => ({
    resourceType: "Observation",
    id: "1",
    subject: { reference: "Patient/amara" },
    category: [{ coding: [{ system: "urn:c", code }] }],
    ...more,
  });
  const grant = decide(labs, "Observation/1/_history", "patient/*.rs");
  if (!("kind" in grant) || grant.kind !== "history") throw new Error("refused");
  const seen = (old: ReturnType<typeof version>, now: ReturnType<typeof version>) =>
    grant.read.viewOf(factsFor(grant.read, old), "https://o", factsFor(grant.read, now)) !== undefined;
  expect(seen(version("lab"), version("lab"))).toBe(true);
  expect(seen(version("lab"), version("notes"))).toBe(false);
  expect(seen(version("notes"), version("lab"))).toBe(false);
  expect(seen(version("lab"), version("lab", { subject: { reference: "Patient/bela" } }))).toBe(false);
  expect(seen(version("lab", { subject: { reference: "Patient/bela" } }), version("lab"))).toBe(false);
});

test("taking a scope away never makes a listing of more types, and never one of what was refused", ({
  expect,
}) => {
  const scopes = [
    "system/Patient.rs",
    "system/Observation.rs",
    "patient/Condition.rs",
    "patient/*.r",
    "system/Condition.s",
  ];
  const requests = [
    "Patient/amara/$everything",
    "Observation/$lastn?patient=amara",
    "Observation/1/_history",
    "Observation/_history",
  ];
  fc.assert(
    fc.property(
      fc.subarray(scopes, { minLength: 2 }),
      fc.constantFrom(...requests),
      fc.nat(),
      (held, request, at) => {
        const [wide, narrow] = [held, held.toSpliced(at % held.length, 1)].map((some) =>
          decide(record, request, some.join(" ")),
        );
        if (wide === undefined || narrow === undefined || !("kind" in narrow)) return;
        expect(wide).toHaveProperty("kind");
        const [more, less] = [typesAsked(wide), typesAsked(narrow)];
        if (Array.isArray(less)) expect(more).toEqual(expect.arrayContaining(less));
      },
    ),
  );
});
