import { Misuse } from "../misuse.ts";
import { comparePolicies } from "#authoring/diff";
import { diffLines } from "#authoring/diff-lines";
import { readPolicyDocument, type PolicyDocument } from "#policy/document";
import { readJsonFile } from "../json-file.ts";
import { complain, giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

/**
 * Prints the permissions that the second policy adds to the first (`+`) and removes (`-`). Returns 0 when
 * both permit the same, 1 when they differ, 2 when a file has no valid policy.
 */
export async function policyDiff(args: readonly string[]): Promise<number> {
  const { positionals } = readCall(args, {});
  const [before, after, ...more] = positionals;
  if (before === undefined || after === undefined || more.length > 0) throw new Misuse();
  const [left, right] = [readPolicyFile(before), readPolicyFile(after)];
  if (left === undefined || right === undefined) return 2;
  const compared = comparePolicies(left, right);
  if (!compared.ok) {
    complain(compared.error);
    return 2;
  }
  const differences = compared.value;
  giveResult(differences);
  say(differences.length === 0 ? "both policies grant the same" : diffLines(differences).join("\n"));
  return differences.length === 0 ? 0 : 1;
}

/** The policy in a file. Prints the errors and returns undefined when it is not valid. */
export function readPolicyFile(file: string): PolicyDocument | undefined {
  const body = readJsonFile(file);
  const read = body.ok
    ? readPolicyDocument(body.value)
    : { ok: false as const, error: [{ pointer: "", problem: body.error }] };
  if (read.ok) return read.value;
  for (const { pointer, problem } of read.error)
    complain(`${file}: ${pointer === "" ? "" : `${pointer}: `}${problem}`);
  return undefined;
}
