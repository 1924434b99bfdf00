import * as fc from "fast-check";
import { test } from "vitest";
import { isListing, isReading, readInteraction } from "#fhir/interaction";
import { Facts } from "#fhir/json/facts";
import { textAt, type JsonObject } from "#fhir/json/json";
import { isOwnedBy } from "#fhir/r4/compartment";
import { ownerPathsOf } from "#fhir/r4/compartment-tables";
import { elementsOf } from "#fhir/r4/elements";
import { matchesSearch } from "#fhir/search/match";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { evaluateListing } from "#policy/evaluate-listing";
import { factsFor } from "#policy/facts";
import type { SearchGrant } from "#policy/grant";
import type { PolicyRule } from "#policy/schema";
import { policy, rule } from "./granting.ts";
import { inLane } from "../support/lane.ts";

// One definition of "belongs": each route to the rows of a patient shows the same rows.

const types = [
  "AuditEvent",
  "Basic",
  "CareTeam",
  "Communication",
  "CommunicationRequest",
  "Composition",
  "Condition",
  "Coverage",
  "DocumentManifest",
  "DocumentReference",
  "Appointment",
  "Invoice",
  "List",
  "MedicationDispense",
  "Observation",
  "QuestionnaireResponse",
  "RequestGroup",
] as const satisfies PolicyRule["types"];
const base = "https://origin.example/fhir";
const document = {
  ...policy(rule(["Patient", ...types], "everything")),
  operations: ["everything" as const],
};

function decide(path: string, scope: string) {
  const [interaction, scopes] = [readInteraction("GET", path.split("/"), ""), parseScopes(scope)];
  if (!interaction.ok || !scopes.ok) throw new Error(path);
  const access = { scopes: scopes.value, patient: "ann" };
  const compiled = compilePolicy(document, "sha256:test");
  if (isListing(interaction.value)) return evaluateListing(compiled, access, interaction.value);
  if (isReading(interaction.value)) return evaluate(compiled, access, interaction.value);
  throw new Error(path);
}

/** Answers whether a search, or a list of everything, shows a row. */
function shows(path: string, scope: string, row: JsonObject): boolean {
  const decided = decide(path, scope);
  if (!decided.ok) throw new Error(decided.error.reason);
  const grant = decided.value;
  if ("kind" in grant && grant.kind === "everything") {
    const grants = grant.rows.get(textAt(row, "resourceType") ?? "");
    if (grants === undefined) return false;
    const facts = factsFor(grants.search, row);
    const isTheirs = grant.owner === undefined || isOwnedBy(facts, new Set([grant.owner]), base);
    return isTheirs && [grants.search, grants.read].every((each) => each.viewOf(facts, base) !== undefined);
  }
  if (!("expects" in grant)) throw new Error(path);
  if (grant.expects.kind !== "search") return grant.viewOf(factsFor(grant, row), base) !== undefined;
  return [grant as SearchGrant, ...grant.expects.further].some((part) => {
    const facts = factsFor(part, row);
    return part.viewOf(facts, base) !== undefined && matchesSearch(facts, part.clientParameters, base);
  });
}

const references: readonly (JsonObject | undefined)[] = [
  undefined,
  undefined,
  { reference: "Patient/ann" },
  { reference: "Patient/ann" },
  { reference: "Patient/ben" },
  { reference: "Practitioner/p" },
  { identifier: { value: "ann" } },
];

function put(
  row: Record<string, unknown>,
  type: string,
  [name = "", ...below]: readonly string[],
  value: unknown,
) {
  const element = elementsOf(type).get(name);
  const next: Record<string, unknown> = {};
  if (below.length > 0) put(next, element?.forms[0]?.type ?? "", below, value);
  const filled = below.length > 0 ? next : value;
  row[name] = element?.repeats === true ? [filled] : filled;
}

const rows = fc.constantFrom(...types).chain((type) => {
  const { owners, participants } = ownerPathsOf(type);
  const paths = [...owners, ...participants];
  return fc
    .array(fc.constantFrom(...references), { minLength: paths.length, maxLength: paths.length })
    .map((values): JsonObject => {
      const row: Record<string, unknown> = { resourceType: type, id: "row" };
      for (const [index, path] of paths.entries())
        if (values[index] !== undefined) put(row, type, path, values[index]);
      return row as JsonObject;
    });
});

test("a row belongs to a patient by one definition, whatever way the client asks: by id, by type, in the compartment, in all of the record", ({
  expect,
}) => {
  const seen = new Map<boolean, number>();
  fc.assert(
    fc.property(rows, (row) => {
      const type = textAt(row, "resourceType") ?? "";
      const belongs = isOwnedBy(
        Facts.of(
          row,
          Object.keys(row).map((name) => [name]),
        ),
        new Set(["ann"]),
        base,
      );
      seen.set(belongs, (seen.get(belongs) ?? 0) + 1);
      const listed = [`Patient/ann/${type}`, "Patient/ann/*", "Patient/ann/$everything"];
      for (const path of [`${type}/row`, type, ...listed])
        expect(shows(path, "patient/*.rs", row), path).toBe(belongs);
      for (const path of listed) expect(shows(path, "system/*.rs", row), path).toBe(belongs);
    }),
    { numRuns: inLane({ fast: 60, slow: 400, long: 4_000 }) },
  );
  expect(seen.get(true)).toBeGreaterThan(inLane({ fast: 5, slow: 50, long: 500 }));
  expect(seen.get(false)).toBeGreaterThan(inLane({ fast: 5, slow: 50, long: 500 }));
});
