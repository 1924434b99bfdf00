import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { originProblems } from "#platform/origins/origin-state";
import { readDevFile } from "../connection/dev-file.ts";
import { closeConnections, send } from "../connection/mutual-tls.ts";
import { postAsOperator, posterOptions, refusalLine } from "../connection/operator-post.ts";

export const registryApplyUsage =
  "phylax registry apply FILE [--operator ID [--operator-token FILE]] [--state DIR]";

/**
 * Sends a registry file to the operators' API with an operator's certificate. Returns 0 when the whole file
 * was applied, 2 when it is refused.
 */
export async function registryApply(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: posterOptions,
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) {
    console.error(`usage: ${registryApplyUsage}`);
    return 2;
  }
  const document = readBytes(file);
  if (document === undefined) {
    console.error(`${file}: cannot be read: check its name and permissions`);
    return 2;
  }
  try {
    const from = { state: resolve(values.state), operator: values.operator, token: values["operator-token"] };
    const answer = await postAsOperator(from, "api/registry", document);
    if (answer.status === 200) {
      console.log(
        `${file}: ${String(answer.body["added"])} added, ${String(answer.body["changed"])} changed`,
      );
      for (const problem of await problemsOfOrigins(from.state, document)) console.error(problem);
      return 0;
    }
    console.error(`${file}: ${refusalLine(answer)}`);
    return answer.status < 500 ? 2 : 1;
  } catch (fault) {
    console.error(fault instanceof Error ? fault.message : "not applied");
    return 1;
  }
}

/** How the gateway reaches the origins of the applied file. */
async function problemsOfOrigins(state: string, document: Buffer): Promise<readonly string[]> {
  const { origins = [] }: { readonly origins?: readonly { readonly name: string }[] } = JSON.parse(
    document.toString("utf8"),
  ); // the file was applied, so it is JSON
  if (origins.length === 0) return [];
  const dev = readDevFile(state);
  try {
    const { text } = await send(dev, undefined, `${dev.gateway}/readyz`);
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

function readBytes(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
