import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { operatorOf, readDevFile } from "./dev-file.ts";
import { closeConnections, send } from "./mutual-tls.ts";

export const registryApplyUsage = "phylax registry apply FILE [--operator ID] [--state DIR]";

/** Sends a registry file to the operators' door with an operator's certificate. Answers 0 when all of it holds, 2 when it is refused. */
export async function registryApply(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { state: { type: "string", default: ".phylax" }, operator: { type: "string" } },
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) {
    console.error(`usage: ${registryApplyUsage}`);
    return 2;
  }
  try {
    return await apply(file, resolve(values.state), values.operator);
  } catch (fault) {
    console.error(fault instanceof Error ? fault.message : "not applied");
    return 1;
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

async function apply(file: string, state: string, operatorId: string | undefined): Promise<number> {
  const body = readBytes(file);
  if (body === undefined) {
    console.error(`${file}: cannot be read`);
    return 2;
  }
  const dev = readDevFile(state);
  const operator = operatorOf(dev, operatorId);
  const reply = await send(dev, operator, `${dev.ops}/api/registry`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  });
  const answer: { added?: number; changed?: number; title?: string; pointer?: string; detail?: string } = JSON.parse(reply.text);
  if (reply.status === 200) {
    console.log(`${file}: ${answer.added} added, ${answer.changed} changed`);
    return 0;
  }
  const pointer = answer.pointer === "" ? '""' : answer.pointer; // RFC 6901 §5: the whole file
  console.error(answer.detail === undefined ? `${file}: ${reply.status} ${answer.title ?? ""}` : `${file}: ${pointer} ${answer.detail}`);
  return reply.status < 500 ? 2 : 1;
}
