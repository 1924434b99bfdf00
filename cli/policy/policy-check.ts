import { Misuse } from "../misuse.ts";
import { proveExamples } from "#authoring/prove-examples";
import { policyDigest, readPolicyDocument, type PolicyProblem } from "#policy/document";
import { readJsonFile } from "../json-file.ts";
import { complain, giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

interface Checked {
  readonly file: string;
  readonly problems: readonly PolicyProblem[];
  /** The name and digest of a valid policy. */
  readonly policy?: {
    readonly name: string;
    readonly digest: string;
    readonly rules: number;
    readonly examples: number;
  };
}

/**
 * Prints every error that would prevent the policies from being published, each with its place. Returns 0
 * when there is no error, otherwise 2.
 */
export async function policyCheck(args: readonly string[]): Promise<number> {
  const { positionals } = readCall(args, {});
  if (positionals.length === 0) throw new Misuse();
  const checked = await Promise.all(positionals.map(check));
  giveResult(checked);
  for (const result of checked) print(result);
  return checked.every(({ problems }) => problems.length === 0) ? 0 : 2;
}

async function check(file: string): Promise<Checked> {
  const body = readJsonFile(file);
  if (!body.ok) return { file, problems: [{ pointer: "", problem: body.error }] };
  const read = readPolicyDocument(body.value);
  if (!read.ok) return { file, problems: read.error };
  const problems = proveExamples(read.value);
  if (problems.length > 0) return { file, problems };
  const { name, rules } = read.value;
  const examples = rules.reduce((sum, rule) => sum + rule.examples.length, 0);
  return {
    file,
    problems,
    policy: { name, digest: await policyDigest(read.value), rules: rules.length, examples },
  };
}

function print({ file, problems, policy }: Checked): void {
  for (const { pointer, problem } of problems)
    complain(`${file}: ${pointer === "" ? "" : `${pointer}: `}${problem}`);
  if (policy !== undefined) {
    const rules = `${policy.rules} rule${policy.rules === 1 ? "" : "s"}`;
    say(`${file}: good: ${policy.name}, ${rules}, ${policy.examples} true examples, ${policy.digest}`);
  }
}
