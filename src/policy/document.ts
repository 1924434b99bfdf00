import { err, ok, type Result } from "#kernel/result";
import { checkPolicy } from "./check.ts";
import { policySchema, type PolicyDocument, type PolicyProblem } from "./schema.ts";

export type { PolicyDocument, PolicyProblem } from "./schema.ts";

/** Reads a policy document, or names the first thing that is wrong with it. Its examples are proven apart, by `#phi/prove-examples`. */
export function parsePolicyDocument(body: unknown): Result<PolicyDocument, PolicyProblem> {
  const parsed = policySchema.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return err({ pointer: pointer(issue?.path ?? []), problem: issue?.message ?? "is no policy document" });
  }
  const [problem] = checkPolicy(parsed.data);
  return problem === undefined ? ok(parsed.data) : err(problem);
}

/** RFC 6901 §3. */
const pointer = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

/** `sha256:` and the SHA-256, in hex, of the document as canonical JSON (RFC 8785; a document holds numbers only in examples). */
export async function policyDigest(document: PolicyDocument): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical(document)));
  const hex = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0"));
  return `sha256:${hex.join("")}`;
}

/** RFC 8785 §3.2: object keys by UTF-16 code unit, no white space; strings and numbers as ECMAScript writes them. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`)
    .join(",")}}`;
}
