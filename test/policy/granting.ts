import { isReading, readInteraction } from "#fhir/interaction";
import { parseScopes } from "#identity/scopes";
import type { JsonObject } from "#fhir/json/json";
import { compilePolicy, type ResourceView } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import type { Grant, PolicyRefusal } from "#policy/grant";
import { factsFor } from "#policy/facts";
import type { PolicyDocument, PolicyRule } from "#policy/schema";

/** A rule that shows these paths, for tests that are not about `why` and `examples`. */
export function rule(
  types: PolicyRule["types"],
  show: PolicyRule["show"],
  more: Partial<PolicyRule> = {},
): PolicyRule {
  return {
    types,
    interactions: ["read", "search"],
    show,
    why: "45 CFR 164.506(c), for a test.",
    examples: [{ says: "It is permitted.", request: `${types[0] ?? ""}/1`, is: "permitted" }],
    ...more,
  };
}

export function policy(...rules: readonly PolicyRule[]): PolicyDocument {
  return {
    format: "phylax.policy.v1",
    name: "test",
    title: "For a test",
    purposes: ["TREAT"],
    rules: [...rules],
  };
}

/** A policy of some rules as an entry of a registry file. */
export const policyEntry = (
  name: string,
  rules: readonly PolicyRule[],
  more: Partial<PolicyDocument> = {},
) => ({ name, body: { ...policy(...rules), name, ...more } });

/** The policy's decision about a GET below the FHIR base, with these scopes. */
export function decide(
  document: PolicyDocument,
  request: string,
  scope = "system/*.rs",
  patient?: string,
): Grant | PolicyRefusal | { readonly reason: string } {
  const [path = "", query = ""] = request.split("?", 2);
  const interaction = readInteraction("GET", path.split("/"), query);
  if (!interaction.ok) return interaction.error;
  if (!isReading(interaction.value)) throw new Error("no read and no search");
  const scopes = parseScopes(scope);
  if (!scopes.ok) return scopes.error;
  const decision = evaluate(
    compilePolicy(document, "sha256:test"),
    { scopes: scopes.value, patient },
    interaction.value,
  );
  return decision.ok ? decision.value : decision.error;
}

/** FHIR base of the answering origin. */
export const origin = "https://origin.example.org/r4";

/** A grant whose rows come from that origin. */
type Granted = Omit<Grant, "viewOf" | "viewInside"> & {
  readonly viewOf: (resource: JsonObject) => ResourceView | undefined;
  readonly viewInside: (resource: JsonObject) => ResourceView | undefined;
};

export function grant(document: PolicyDocument, request: string, scope?: string, patient?: string): Granted {
  const decision = decide(document, request, scope, patient);
  if ("reason" in decision) throw new Error(`refused: ${decision.reason}`);
  const { viewOf, viewInside, ...rest } = decision;
  return {
    ...rest,
    viewOf: (resource) => viewOf(factsFor(decision, resource), origin),
    viewInside: (resource) => viewInside(factsFor(decision, resource), origin),
  };
}
