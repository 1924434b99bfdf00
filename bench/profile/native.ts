import { spawn, spawnSync } from "node:child_process";
import { fileAt, roomOf, type Files } from "./rooms.ts";

/** True if `perf` can sample a process here. Without it a profile has V8's samples alone. */
export const canSampleProcesses = (): boolean => spawnSync("perf", ["version"]).status === 0;

/**
 * Flags by which V8 writes `/tmp/perf-<pid>.map`, which gives perf the names of functions, also of those that
 * are interpreted.
 */
export const flagsForPerf = ["--perf-basic-prof", "--interpreted-frames-native-stack"] as const;

/** Samples a process with all of its threads, into a file. Resolves when the time is over. Throws perf's fault. */
export async function sampleProcess(pid: number, seconds: number, file: string): Promise<void> {
  const args = ["record", "-F", "999", "-g", "-p", String(pid), "-o", file, "--", "sleep", String(seconds)];
  const child = spawn("perf", args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise((done) => child.once("close", done));
  if (code !== 0) throw new Error(`perf failed: ${said}`);
}

/** The stack of a sample: its functions, the one on top first. */
type Stack = readonly string[];

/** The stacks of a file of perf. */
export function stacksOf(file: string): readonly Stack[] {
  const { stdout, status, stderr } = spawnSync("perf", ["script", "-i", file, "-F", "ip,sym"], {
    encoding: "utf8",
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Error(`perf failed: ${stderr}`);
  return readStacks(stdout);
}

/** Reads `perf script -F ip,sym`: a line for each frame, and an empty line after each sample. */
export const readStacks = (text: string): readonly Stack[] =>
  text
    .split("\n\n")
    .map((sample) =>
      sample
        .split("\n")
        .filter((line) => line.trim() !== "")
        .map((line) => line.trim().replace(/^[0-9a-f]+ /u, "")),
    )
    .filter((stack) => stack.length > 0);

/** The source files of each Worker's bundle, by the Worker's name. */
export type SourceFiles = ReadonlyMap<string, Files>;

/** V8's name of a function: `JS:*name gateway.js:12:34`; `~^+*` tell how it was compiled. */
const named = /^JS:[~^+*']*(?<name>\S*) ?(?<bundle>[\w-]+)\.js:(?<line>\d+):\d+$/u;

/** Work without any function of ours on the stack, by the first pattern that a frame matches. */
const runtimeParts: readonly (readonly [RegExp, string])[] = [
  [/CollectGarbage|Scaveng|Sweep|MinorGC|Marking/u, "garbage collector"],
  [/CompilationJob|OptimizingCompile/u, "compiler"],
  [/sqlite|Sqlite|fsync/u, "SQLite and fsync"],
  [/JsRpc|rpc::|capnp/u, "calls of Durable Objects"],
  [/WorkerEntrypoint|ServiceWorkerGlobalScope::request|kj_hyper::server/u, "requests"],
  [/fetchImpl|HttpClient|kj_hyper::client/u, "fetch"],
  [/[Tt]imer|Timeout/u, "timers"],
];

/**
 * Counts stacks by the innermost function of a bundle: what the runtime does for a function counts for the
 * function. Other stacks count by the part of the runtime.
 */
export function samplesByCaller(
  stacks: readonly Stack[],
  sources: SourceFiles,
): { readonly rooms: ReadonlyMap<string, number>; readonly functions: ReadonlyMap<string, number> } {
  const [rooms, functions] = [new Map<string, number>(), new Map<string, number>()];
  const add = (counts: Map<string, number>, name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const stack of stacks) {
    const caller = callerIn(stack, sources);
    if (caller === undefined) {
      const part = runtimeParts.find(([pattern]) => stack.some((frame) => pattern.test(frame)))?.[1];
      add(rooms, `(${part ?? "rest of the runtime"})`);
      continue;
    }
    add(rooms, `${caller.bundle} ${roomOf(caller.file)}`);
    add(functions, `${caller.bundle} ${caller.file} ${caller.name}`);
  }
  return { rooms, functions };
}

function callerIn(stack: Stack, sources: SourceFiles) {
  for (const frame of stack) {
    const { name = "", bundle, line } = named.exec(frame)?.groups ?? {};
    const files = bundle === undefined ? undefined : sources.get(bundle);
    const file = files && fileAt(files, Number(line) - 1);
    if (bundle !== undefined && file !== undefined) return { bundle, file, name: name || "(anonymous)" };
  }
  return undefined;
}
