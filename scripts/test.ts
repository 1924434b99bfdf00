// Runs the tests of the lane that PHYLAX_LANE names, the fast lane without it. Arguments go to vitest: with them
// one vitest runs what they name. `npm test -- test/fhir/search.test.ts` runs one file.
import { spawn } from "node:child_process";
import { lane } from "../test/support/lane.ts";

interface Run {
  readonly code: number;
  readonly output: Buffer;
}

/**
 * The projects of each lane, in groups that run side by side. Tests of the fast lane that are end to end wait more than they work; those in
 * workerd run one file after another; so the two groups share the processors well. The slow lane kills processes and measures times: its
 * files run alone, one after another.
 */
const groups: Readonly<Record<typeof lane, readonly (readonly string[])[]>> = {
  fast: [["pure", "control", "guard", "jose", "ledger"], ["e2e"]],
  slow: [["slow", "fuzz"]],
  long: [["slow", "fuzz", "ledger"]],
};

function vitest(args: readonly string[], isShown: boolean): Promise<Run> {
  const child = spawn(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...args], {
    stdio: ["ignore", isShown ? "inherit" : "pipe", isShown ? "inherit" : "pipe"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal)); // and wait for the child
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part: Buffer) => output.push(part));
  return new Promise((done) => child.on("close", (code) => done({ code: code ?? 1, output: Buffer.concat(output) })));
}

const named = process.argv.slice(2);
if (named.length > 0) process.exitCode = (await vitest(named, true)).code;
else {
  const runs = groups[lane].map(async (projects, index) => {
    const isShown = index === groups[lane].length - 1; // the last group's output is shown as it comes, the others' at the end
    const run = await vitest(
      projects.flatMap((project) => ["--project", project]),
      isShown,
    );
    return { ...run, isShown };
  });
  const ended = await Promise.all(runs);
  for (const { isShown, output } of ended) if (!isShown) process.stdout.write(output);
  process.exitCode = Math.max(...ended.map(({ code }) => code));
}
