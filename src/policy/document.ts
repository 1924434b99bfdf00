import type * as z from "zod/mini";
import { canonicalJson } from "#kernel/canonical-json";
import { err, ok, type Result } from "#kernel/result";
import { checkPolicy } from "./check.ts";
import { unsafeWrites } from "./unsafe-writes.ts";
import { policySchema, type PolicyDocument, type PolicyProblem } from "./schema.ts";

export type { PolicyDocument, PolicyProblem } from "./schema.ts";

/**
 * Reads a policy document, or names its first problem. `#authoring/prove-examples` proves its examples
 * separately.
 */
export function parsePolicyDocument(body: unknown): Result<PolicyDocument, PolicyProblem> {
  const read = readPolicyDocument(body);
  return read.ok ? read : err(read.error[0]);
}

/**
 * The part of a published document that this version grants. An earlier version may have published the document under
 * wider rules for writes: a write that is unsafe today is not granted.
 */
export function readPublishedPolicy(body: unknown): Result<PolicyDocument, PolicyProblem> {
  const published = policySchema.safeParse(body);
  if (!published.success)
    return err({ pointer: "", problem: "is not a policy document: see docs/policy.schema.json" });
  const rules = published.data.rules.map((rule) => {
    const unsafe = new Set(unsafeWrites(rule).map(({ interaction }) => interaction));
    return { ...rule, interactions: rule.interactions.filter((interaction) => !unsafe.has(interaction)) };
  });
  return parsePolicyDocument({ ...published.data, rules });
}

/** Like {@link parsePolicyDocument}, with every problem that the schema or `checkPolicy` finds. */
export function readPolicyDocument(
  body: unknown,
): Result<PolicyDocument, readonly [PolicyProblem, ...PolicyProblem[]]> {
  const parsed = policySchema.safeParse(body);
  if (!parsed.success) {
    const [
      first = { pointer: "", problem: "is not a policy document: see docs/policy.schema.json" },
      ...more
    ] = parsed.error.issues.flatMap((issue) => problemsOf(issue, []));
    return err([first, ...more, ...problemsBeside(body, [first, ...more])]);
  }
  const [first, ...more] = checkPolicy(parsed.data);
  return first === undefined ? ok(parsed.data) : err([first, ...more]);
}

/**
 * What `checkPolicy` says of the parts that the schema takes, so that an author mends all of them in one round.
 * Without a rule, the rest has no further problem: each check compares a rule with itself or finds what two of
 * them repeat or open.
 */
function problemsBeside(body: unknown, found: readonly PolicyProblem[]): readonly PolicyProblem[] {
  if (typeof body !== "object" || body === null || !("rules" in body) || !Array.isArray(body.rules))
    return [];
  const broken = new Set(found.map(({ pointer: at }) => partOf(at)));
  const rules = body.rules.flatMap((rule: unknown, index) =>
    broken.has(`rules/${index}`) ? [] : [{ rule, index }],
  );
  const members = Object.entries(body).filter(([name]) => name in policySchema.shape && !broken.has(name));
  const rest = policySchema.safeParse({
    // which no check reads
    format: "phylax.policy.v1",
    name: "unnamed",
    title: "unnamed",
    ...Object.fromEntries(members),
    rules: rules.map(({ rule }) => rule),
  });
  if (!rest.success) return [];
  const named = (text: string) =>
    text.replace(/\/rules\/(\d+)/gu, (_, index) => `/rules/${rules[Number(index)]?.index}`);
  return checkPolicy(rest.data).map(({ pointer: at, problem }) => ({
    pointer: named(at),
    problem: named(problem),
  }));
}

/** The part of a document that is read without its siblings: a rule, or another member. */
const partOf = (at: string): string => /^\/(rules\/\d+|[^/]*)/u.exec(at)?.[1] ?? "";

/**
 * For a union the problems of the closest branch: an author who meant that branch learns nothing from the
 * problems of the remaining branches.
 */
function problemsOf(issue: z.core.$ZodIssue, above: readonly PropertyKey[]): readonly PolicyProblem[] {
  const path = [...above, ...issue.path];
  if (issue.code !== "invalid_union") return [{ pointer: pointer(path), problem: issue.message }];
  const [nearest] = issue.errors
    .filter((branch) => branch.length > 0)
    .toSorted((a, b) => a.length - b.length);
  return nearest === undefined
    ? [{ pointer: pointer(path), problem: issue.message }]
    : nearest.flatMap((inner) => problemsOf(inner, path));
}

/** RFC 6901 §3. */
const pointer = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

/**
 * `sha256:` and the SHA-256, in hex, of the document as canonical JSON (RFC 8785; a document holds numbers
 * only in examples).
 */
export async function policyDigest(document: PolicyDocument): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonicalJson(document)));
  const hex = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0"));
  return `sha256:${hex.join("")}`;
}
