import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { format } from "node:util";
import { nameOf } from "../../cli/commands/command.ts";
import { commands } from "../../cli/commands/commands.ts";
import { runCommand } from "../../cli/run-command.ts";
import { problemsOfResult } from "./result-problems.ts";
import type { SampleLog } from "../ledger/sample-log.ts";

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** Runs the command in its own process, in a folder of the test. */
export async function phylaxProcess(cwd: string, ...args: readonly string[]): Promise<Ended> {
  const { INIT_CWD: _, ...env } = process.env;
  const main = join(import.meta.dirname, "../../cli/main.ts");
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"], cwd, env });
  const done = new Promise<number | null>((resolve) => child.on("exit", resolve));
  const [out, error] = await Promise.all([text(child.stdout), text(child.stderr)]);
  requireDocumented(args, out);
  return { code: await done, out, error };
}

/** Each test that asks for JSON shows that the result has its documented form. */
function requireDocumented(args: readonly string[], out: string): void {
  const command = commands.find(({ words }) => words.every((word, at) => args[at] === word));
  if (command === undefined || !args.includes("--json") || args.includes("--help")) return;
  const problems = problemsOfResult(command.result, out);
  if (problems.length > 0) throw new Error(`${nameOf(command)} --json: ${problems.join(", ")}`);
}

let before: Promise<unknown> = Promise.resolve();

/**
 * Runs the command in this process, which has loaded it already; a new process takes a second. Calls wait for
 * each other, because they share the console and the working directory.
 */
export function phylaxIn(cwd: string, ...args: readonly string[]): Promise<Ended> {
  const ended = before.then(() => runHere(cwd, args));
  before = ended.catch(() => undefined);
  return ended;
}

async function runHere(cwd: string, args: readonly string[]): Promise<Ended> {
  const printed = { out: "", error: "" };
  const { log, error } = console;
  const [from, initial] = [process.cwd(), process.env["INIT_CWD"]];
  console.log = (...values: unknown[]) => void (printed.out += `${format(...values)}\n`);
  console.error = (...values: unknown[]) => void (printed.error += `${format(...values)}\n`);
  process.chdir(cwd);
  delete process.env["INIT_CWD"];
  try {
    const code = await runCommand(args);
    requireDocumented(args, printed.out);
    return { code, ...printed };
  } finally {
    Object.assign(console, { log, error });
    process.chdir(from);
    if (initial !== undefined) process.env["INIT_CWD"] = initial;
  }
}

/** Runs the command for an operator with no development stack below the folder. */
export const phylax = (...args: readonly string[]) => phylaxIn(tmpdir(), ...args);

/** Serves a sample log as a ledger would; a log `s1-…` is down. `served` may return a different log later. */
export function logServer(served: () => SampleLog): { listen(): Promise<string>; close(): void } {
  const server = createServer((request, response) => {
    if (request.url?.includes("/s1-") === true) return void response.writeHead(503).end();
    const bytes = served().objects.get((request.url ?? "").replace("/ledger/s0-2026h2/", ""));
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  return {
    async listen() {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}/ledger/`; // a TCP server has an AddressInfo
    },
    close: () => server.close(),
  };
}
