import { execFile, spawn, spawnSync } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const fileAt = (path: string): string => fileURLToPath(new URL(path, import.meta.url).href);
const command = fileAt("../../scripts/verify-ledger.py");
const questions = fileAt("./second-verifier.py");

export const pythonIsMissing = spawnSync("python3", ["--version"]).status !== 0;

export interface Said {
  readonly code: number;
  readonly out: string;
}

/** Runs the command as an auditor would. Python's flag -B keeps it from leaving a compiled file. */
export async function verifyLedger(...args: readonly string[]): Promise<Said> {
  const ran = promisify(execFile)("python3", ["-B", command, ...args], { encoding: "utf8" });
  return ran.then(
    ({ stdout }) => ({ code: 0, out: stdout }),
    (fault: { code: number; stdout: string; stderr: string }) => ({
      code: fault.code,
      out: fault.stdout + fault.stderr,
    }),
  );
}

/**
 * Asks one process many questions (second-verifier.py lists their kinds). The answers come in the same
 * order.
 */
export async function askAll<T>(asked: readonly object[]): Promise<T[]> {
  const child = spawn("python3", ["-B", questions], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(asked.map((one) => `${JSON.stringify(one)}\n`).join(""));
  const out = await text(child.stdout);
  const answers = out.trimEnd().split("\n");
  if (answers.length !== asked.length)
    throw new Error(`${asked.length} questions, ${answers.length} answers`);
  return answers.map((line) => JSON.parse(line));
}

/** A log's objects in the form of a question. */
export const packed = (objects: ReadonlyMap<string, Uint8Array>): Record<string, string> =>
  Object.fromEntries([...objects].map(([path, bytes]) => [path, Buffer.from(bytes).toString("base64")]));
