import { parseArgs } from "node:util";
import { diffPolicies, TooManyKinds, type PolicyDifference } from "#authoring/diff";
import { readPolicyDocument, type PolicyDocument } from "#policy/document";
import { readJsonFile } from "../json-file.ts";

export const policyDiffUsage = "phylax policy diff BEFORE AFTER [--json]";

/**
 * Prints the permissions that the second policy adds to the first (`+`) and removes (`-`). Returns 0 when
 * both permit the same, 1 when they differ, 2 when a file has no valid policy.
 */
export async function policyDiff(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: "boolean", default: false } },
  });
  const [before, after, ...more] = positionals;
  if (before === undefined || after === undefined || more.length > 0) {
    console.error(`usage: ${policyDiffUsage}`);
    return 2;
  }
  const [left, right] = [readPolicyFile(before), readPolicyFile(after)];
  if (left === undefined || right === undefined) return 2;
  try {
    const differences = diffPolicies(left, right);
    if (values.json) console.log(JSON.stringify(differences, null, 2));
    else print(differences);
    return differences.length === 0 ? 0 : 1;
  } catch (fault) {
    if (!(fault instanceof TooManyKinds)) throw fault;
    console.error(fault.message);
    return 2;
  }
}

/** The policy in a file. Prints the errors and returns undefined when it is not valid. */
export function readPolicyFile(file: string): PolicyDocument | undefined {
  const body = readJsonFile(file);
  const read = body.ok
    ? readPolicyDocument(body.value)
    : { ok: false as const, error: [{ pointer: "", problem: body.error }] };
  if (read.ok) return read.value;
  for (const { pointer, problem } of read.error)
    console.error(`${file}: ${pointer === "" ? "" : `${pointer}: `}${problem}`);
  return undefined;
}

/** Groups differences that several types or the same rows share. */
function print(differences: readonly PolicyDifference[]): void {
  if (differences.length === 0) console.log("both policies grant the same");
  const byType = [...Map.groupBy(differences, ({ type }) => type ?? "the policy")];
  const alike = Map.groupBy(byType, ([, ofType]) => linesOf(ofType).join("\n"));
  for (const [lines, types] of alike) {
    console.log(types.map(([type]) => type).join(", "));
    console.log(lines);
  }
}

function linesOf(differences: readonly PolicyDifference[]): readonly string[] {
  const byRows = Map.groupBy(differences, ({ rows }) => rows ?? "");
  return [...byRows].flatMap(([rows, ofRows]) => {
    const alike = Map.groupBy(ofRows, ({ change, interactions, what }) =>
      [change, interactions.join(", "), what].join(":"),
    );
    const indent = rows === "" ? "  " : "    ";
    const lines = [...alike.values()].map((same) => indent + lineOf(same));
    return rows === "" ? lines : [`  of rows where ${shortened(rows)}`].concat(lines);
  });
}

function lineOf(alike: readonly PolicyDifference[]): string {
  const [first] = alike;
  const names = alike.map(({ name }) => name).join(", ");
  const interactions =
    first === undefined || first.interactions.length === 0 ? "" : `${first.interactions.join(", ")}: `;
  return `${first?.change === "more" ? "+" : "-"} ${interactions}${first?.what === "interaction" ? "shows" : first?.what} ${names}`;
}

/**
 * Shortens a code system to the last part of its URL and a long list to its beginning. `--json` prints all of
 * it.
 */
const shortened = (text: string) =>
  text
    .replaceAll(/https?:\/\/(?:[^\s|]*\/)?(?=[^/|\s]+\|)/gu, "")
    .replaceAll(/(?<=one of )[^;]+/gu, (list) => {
      const codes = list.split(", ");
      return codes.length <= 4 ? list : `${codes.slice(0, 3).join(", ")} and ${codes.length - 3} more`;
    });
