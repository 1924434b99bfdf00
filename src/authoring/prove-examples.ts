import { instant } from "#kernel/clock";
import { isResourceType } from "#fhir/r4/elements";
import { isListing, isReading, readInteraction } from "#fhir/interaction";
import { isObject, readJson, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { err, type Result } from "#kernel/result";
import { isSameContent } from "#registry/canonical";
import { compilePolicy, type CompiledPolicy } from "#policy/compile";
import { evaluate } from "#policy/evaluate";
import { evaluateListing } from "#policy/evaluate-listing";
import { factsFor } from "#policy/facts";
import type { Grant } from "#policy/grant";
import { noLabelReferred } from "#policy/sensitivity/referred-labels";
import type { Access } from "#policy/row-access";
import type { PolicyDocument, PolicyExample, PolicyProblem } from "#policy/schema";
import { markSubsetted } from "#phi/contained";
import { originUrls } from "#phi/origin-urls";
import { createProblems } from "./prove-create.ts";
import { leavingFor } from "#phi/labelled-parts";
import { redactResource, type RedactContext } from "#phi/redact";

/** Runs every example of a policy through the engine that serves requests. Empty: every example is true. */
export function proveExamples(document: PolicyDocument): readonly PolicyProblem[] {
  const policy = compilePolicy(document, "");
  return document.rules.flatMap((rule, index) =>
    rule.examples.flatMap((example, number) => {
      const problem =
        "request" in example
          ? refuteRequest(policy, example)
          : "creates" in example
            ? refuteCreate(policy, rule.types, example)
            : refuteResource(policy, rule.types, example);
      return problem === undefined ? [] : [{ pointer: `/rules/${index}/examples/${number}`, problem }];
    }),
  );
}

/**
 * An example tests only the policy: its scopes are the widest, the Consents are given, and the resources that a
 * row refers to have no label, so that only the policy can refuse.
 */
const everyScope = ({ purposes: [purpose] }: CompiledPolicy): Access => ({
  scopes: [{ context: "system", type: "*", permissions: ["c", "r", "s"], filters: [] }],
  patient: undefined,
  purpose,
  consents: "given",
  // an example states its dates, and no time of a request: each of them is recent
  at: instant(0),
  referred: noLabelReferred,
});
const bases = { origin: "https://origin.invalid", public: "https://gateway.invalid" };

function refuteRequest(
  policy: CompiledPolicy,
  { request, is }: Extract<PolicyExample, { request: string }>,
): string | undefined {
  const [path = "", query = ""] = request.split("?", 2);
  const interaction = readInteraction("GET", path.split("/"), query);
  const isAsked = interaction.ok && isListing(interaction.value);
  const granted = isAsked
    ? evaluateListing(policy, everyScope(policy), interaction.value)
    : decide(policy, path.split("/"), query);
  if (granted.ok) return is === "permitted" ? undefined : "the request is permitted";
  return is === "refused" ? undefined : `the request is refused: ${granted.error.reason}`;
}

function decide(
  policy: CompiledPolicy,
  path: readonly string[],
  query: string,
): Result<Grant, { readonly reason: string }> {
  const interaction = readInteraction("GET", path, query);
  if (!interaction.ok) return interaction;
  return isReading(interaction.value)
    ? evaluate(policy, everyScope(policy), interaction.value)
    : err({ reason: "no_reading" });
}

function refuteResource(
  policy: CompiledPolicy,
  types: readonly string[],
  example: Extract<PolicyExample, { becomes: unknown }>,
): string | undefined {
  const [resource, expected] = [tree(example.resource), tree(example.becomes)];
  const type = isObject(resource) ? textAt(resource, "resourceType") : undefined;
  if (!isObject(resource) || type === undefined || !types.includes(type))
    return "the resource's type is not a type of this rule";
  const became = leaves(policy, resource);
  if (became === undefined) return expected === "withheld" ? undefined : "the resource is withheld";
  const wanted = isObject(expected) && became.subsetted ? markSubsetted(expected) : expected;
  return isSameContent(became.resource, wanted)
    ? undefined
    : `the released resource is ${JSON.stringify(became.resource)}`;
}

function leaves(
  policy: CompiledPolicy,
  whole: JsonObject,
): { readonly resource: JsonObject; readonly subsetted: boolean } | undefined {
  const grant = decide(policy, [textAt(whole, "resourceType") ?? "", textAt(whole, "id") ?? "example"], "");
  if (!grant.ok) return undefined;
  const resource = leavingFor(grant.value, whole, factsFor(grant.value, whole), bases.origin);
  if (resource === undefined) return undefined;
  const view = grant.value.viewOf(factsFor(grant.value, resource), bases.origin);
  if (view === undefined) return undefined;
  const { viewInside, mayLinkTo } = grant.value;
  const context: RedactContext = {
    bases,
    urls: originUrls(bases),
    viewInside: (inside, nesting) => viewInside(factsFor(grant.value, inside), bases.origin, nesting),
    mayLinkTo: (other) => mayLinkTo(other, bases.origin),
  };
  const cut = redactResource(resource, view, context);
  return cut.ok ? { resource: cut.value.resource, subsetted: view.subsetted } : undefined;
}

function refuteCreate(
  policy: CompiledPolicy,
  types: readonly string[],
  { creates, is }: Extract<PolicyExample, { creates: unknown }>,
): string | undefined {
  const resource = tree(creates);
  const type = isObject(resource) ? textAt(resource, "resourceType") : undefined;
  if (!isObject(resource) || type === undefined || !isResourceType(type) || !types.includes(type))
    return "the resource's type is not a type of this rule";
  const problems = createProblems({ policy, access: everyScope(policy) }, type, resource, bases);
  if (problems.length === 0) return is === "permitted" ? undefined : "it may be created";
  return is === "refused" ? undefined : `it may not be created: ${problems.join(" ")}`;
}

/** An example as the gateway would read a body: its numbers as text. */
function tree(value: unknown): Json {
  const read = readJson(new TextEncoder().encode(JSON.stringify(value)));
  if (!read.ok) throw new Error("an example that the schema took as JSON is none");
  return read.value;
}
