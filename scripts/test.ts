// Runs the tests of the lane in PHYLAX_LANE, by default the fast lane. With arguments, a single vitest gets
// them: `npm test -- test/fhir/search.test.ts` runs that file.
import { spawn } from "node:child_process";
import { inLane, lane } from "../test/support/lane.ts";

interface Run {
  readonly code: number;
  readonly output: Buffer;
}

/**
 * The projects of each lane, in groups that run side by side. The end-to-end tests of the fast lane mostly
 * wait, and the ledger's tests run one file after another, so the three groups share the processors well. The
 * slow lane kills processes and measures times: its files run alone, one after another.
 */
const groups: Readonly<Record<typeof lane, readonly (readonly string[])[]>> = {
  fast: [
    ["pure", "door"],
    ["guard", "ledger"],
    ["e2e", "control", "jose"],
  ],
  slow: [["slow", "fuzz", "ledger", "door"]],
  long: [["slow", "fuzz", "ledger", "door"]],
};

// Three times the duration of a lane: a process that never ends must not block CI.
const minutesMax = inLane({ fast: 20, slow: 45, long: 300 });

function vitest(args: readonly string[], isShown: boolean): Promise<Run> {
  const child = spawn(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...args], {
    stdio: ["ignore", isShown ? "inherit" : "pipe", isShown ? "inherit" : "pipe"],
  });
  // and waits for the child
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  const watch = setTimeout(() => {
    console.error(`vitest run ${args.join(" ")} did not end within ${minutesMax} minutes: it is stopped`);
    child.kill("SIGKILL");
  }, minutesMax * 60_000);
  watch.unref();
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part: Buffer) => output.push(part));
  return new Promise((done) =>
    child.on("close", (code) => done({ code: code ?? 1, output: Buffer.concat(output) })),
  );
}

const named = process.argv.slice(2);
if (named.length > 0) process.exitCode = (await vitest(named, true)).code;
else {
  const ended = await Promise.all(
    groups[lane].map((projects, index) => {
      // the last group's output is shown as it arrives, the output of the earlier groups at the end
      const isShown = index === groups[lane].length - 1;
      return vitest(
        projects.flatMap((project) => ["--project", project]),
        isShown,
      );
    }),
  );
  for (const { output } of ended) process.stdout.write(output); // empty for a run with shown output
  process.exitCode = Math.max(...ended.map(({ code }) => code));
}
