import { Misuse } from "../misuse.ts";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { originProblems } from "#platform/origins/origin-state";
import { closeConnections, send } from "../connection/mutual-tls.ts";
import { openDeployment } from "../connection/deployment.ts";
import { postAsOperator, posterOf, posterOptions, refusalLine } from "../connection/operator-post.ts";
import { complain, giveResult, say } from "../output.ts";

/**
 * Sends a registry file, or a change that `registry plan --out` wrote, to the operators' API with an operator's
 * certificate. Returns 0 when the whole file was applied, 2 when it is refused.
 */
export async function registryApply(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: posterOptions,
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new Misuse();
  const document = readBytes(file);
  if (document === undefined) {
    complain(`${file}: cannot be read: check its name and permissions`);
    return 2;
  }
  try {
    const from = posterOf(values);
    const path = isPlannedChange(document) ? "api/registry/changes" : "api/registry";
    const answer = await postAsOperator(from, path, document);
    if (answer.status === 200) {
      const { added, changed, removed } = answer.body;
      const counts = [`${String(added)} added`, `${String(changed)} changed`];
      if (typeof removed === "number") counts.push(`${removed} removed`);
      say(`${file}: ${counts.join(", ")}`);
      const problems = await problemsOfOrigins(from.state, document);
      for (const problem of problems) complain(problem);
      giveResult({ file, ...answer.body, problems });
      return 0;
    }
    complain(`${file}: ${refusalLine(answer)}`);
    return answer.status < 500 ? 2 : 1;
  } catch (fault) {
    complain(fault instanceof Error ? fault.message : "not applied");
    return 1;
  }
}

/** How the gateway reaches the origins of the applied file. */
async function problemsOfOrigins(state: string, document: Buffer): Promise<readonly string[]> {
  // the file was applied, so it is JSON of one of these forms
  const { set, origins = set?.origins ?? [] }: NamesOrigins & { readonly set?: NamesOrigins } = JSON.parse(
    document.toString("utf8"),
  );
  if (origins.length === 0) return [];
  try {
    const { deployment: dev } = openDeployment(state);
    const { text } = await send(dev, undefined, `${new URL(dev.fhir).origin}/readyz`);
    return originProblems(
      JSON.parse(text),
      origins.map(({ name }) => name),
    );
  } catch {
    return ["the gateway did not answer /readyz: ask it again for the state of these origins"];
  } finally {
    closeConnections();
  }
}

interface NamesOrigins {
  readonly origins?: readonly { readonly name: string }[];
}

/** A registry file has neither of these members. The API refuses a file that is not JSON. */
function isPlannedChange(document: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(document.toString("utf8"));
    return typeof value === "object" && value !== null && ("expects" in value || "remove" in value);
  } catch {
    return false;
  }
}

function readBytes(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
