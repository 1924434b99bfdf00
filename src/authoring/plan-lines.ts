import { readPolicyDocument } from "#policy/document";
import { isSameContent } from "#registry/canonical";
import type { PlannedChange } from "#registry/plan";
import { diffLines } from "./diff-lines.ts";
import { comparePolicies } from "./diff.ts";

/** Policy bodies by digest. */
export type PolicyBodies = Readonly<Record<string, unknown>>;

/**
 * A plan in words, an entry after the other: `+` added, `~` changed, `-` removed. A changed entry has a line
 * for each changed field. For a grant that gets a different policy, the permissions that come and go follow.
 */
export const planLines = (changes: readonly PlannedChange[], policies: PolicyBodies): readonly string[] =>
  changes.flatMap((change) => {
    const { kind, name, before, after } = change;
    if (before === undefined) return [`+ ${kind} ${name}`];
    if (after === undefined) return [`- ${kind} ${name}`];
    return [`~ ${kind} ${name}`].concat(fieldLines(before, after, policies).map((line) => `    ${line}`));
  });

function fieldLines(before: object, after: object, policies: PolicyBodies): readonly string[] {
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return fields.flatMap((field) => {
    const [from, to]: unknown[] = [Reflect.get(before, field), Reflect.get(after, field)];
    if (isSameContent(from, to)) return [];
    const line = `${field}: ${shown(field, from)} -> ${shown(field, to)}`;
    if (field !== "policy") return [line];
    const permissions = policyLines(policies[String(from)], policies[String(to)]);
    return [line].concat(permissions.map((each) => `  ${each}`));
  });
}

const moments: ReadonlySet<string> = new Set(["from", "to", "unboundUntil"]);

function shown(field: string, value: unknown): string {
  if (value === undefined) return "none";
  if (typeof value === "number" && moments.has(field)) return new Date(value).toISOString();
  return typeof value === "string" ? value : JSON.stringify(value);
}

function policyLines(before: unknown, after: unknown): readonly string[] {
  const [left, right] = [readPolicyDocument(before), readPolicyDocument(after)];
  if (!left.ok || !right.ok) return ["not compared: a policy is not valid in this version"];
  const compared = comparePolicies(left.value, right.value);
  if (!compared.ok) return [`not compared: ${compared.error}`];
  return compared.value.length === 0 ? ["both policies grant the same"] : diffLines(compared.value);
}
