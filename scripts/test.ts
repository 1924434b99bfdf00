// Runs the tests of the lane that PHYLAX_LANE names, the fast lane without it. Arguments go to vitest: with them
// one vitest runs what they name. `npm test -- test/fhir/search.test.ts` runs one file.
import { spawn } from "node:child_process";
import { inLane, lane } from "../test/support/lane.ts";

interface Run {
  readonly code: number;
  readonly output: Buffer;
}

/**
 * The projects of each lane, in groups that run side by side. Tests of the fast lane that are end to end wait more than they work; those of
 * the ledger run one file after another; so the three groups share the processors well. The slow lane kills processes and measures times: its
 * files run alone, one after another.
 */
const groups: Readonly<Record<typeof lane, readonly (readonly string[])[]>> = {
  fast: [
    ["pure", "door"],
    ["guard", "ledger"],
    ["e2e", "control", "jose"],
  ],
  slow: [["slow", "fuzz", "ledger"]],
  long: [["slow", "fuzz", "ledger", "door"]],
};

// Three times as long as a lane lasts: a process that waits for what never comes must not hold CI up.
const minutesMax = inLane({ fast: 20, slow: 45, long: 300 });

function vitest(args: readonly string[], isShown: boolean): Promise<Run> {
  const child = spawn(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...args], {
    stdio: ["ignore", isShown ? "inherit" : "pipe", isShown ? "inherit" : "pipe"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal)); // and wait for the child
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
      const isShown = index === groups[lane].length - 1; // the last group's output is shown as it comes, the others' at the end
      return vitest(
        projects.flatMap((project) => ["--project", project]),
        isShown,
      );
    }),
  );
  for (const { output } of ended) process.stdout.write(output); // nothing of a run that was shown
  process.exitCode = Math.max(...ended.map(({ code }) => code));
}
