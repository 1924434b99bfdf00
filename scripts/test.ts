// Runs the tests of the lane in PHYLAX_LANE, by default the fast lane. With arguments, a single vitest gets
// them: `npm test -- test/fhir/search.test.ts` runs that file.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
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

// Twice the duration of a lane or more: a process that never ends must not block CI.
const minutesMax = inLane({ fast: 20, slow: 65, long: 300 });

/** @param group a number of its own for each vitest that runs at the same time. */
function vitest(args: readonly string[], isShown: boolean, group = 0): Promise<Run> {
  const child = spawn(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...args], {
    stdio: ["ignore", isShown ? "inherit" : "pipe", isShown ? "inherit" : "pipe"],
    env: { ...process.env, PHYLAX_TEST_GROUP: String(group) },
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

/** vitest's JSON report, the members that are read here. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

// The seed of a property, its counterexample and the error behind it stand in the first lines.
const errorLinesMax = 14;

/** Each failed test, and each file that did not load, with the first lines of its error. */
function failures(report: string): readonly string[] {
  if (!existsSync(report)) return ["vitest ended without a report"];
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report;
  return testResults.flatMap(({ name, message = "", assertionResults }) => {
    const file = relative(process.cwd(), name);
    const failed = assertionResults
      .filter(({ status }) => status === "failed")
      .map(({ fullName, failureMessages = [] }) => ({
        of: `${file}: ${fullName}`,
        error: failureMessages[0],
      }));
    if (assertionResults.length === 0 && message !== "") failed.push({ of: file, error: message });
    return failed.map(({ of, error = "" }) =>
      [`  ${of}`, ...error.split("\n", errorLinesMax).map((line) => `    ${line.slice(0, 300)}`)].join("\n"),
    );
  });
}

const named = process.argv.slice(2);
if (named.length > 0) process.exitCode = (await vitest(named, true)).code;
else {
  const reports = mkdtempSync(join(tmpdir(), "phylax-reports-"));
  const reportOf = (index: number) => join(reports, `${index}.json`);
  const ended = await Promise.all(
    groups[lane].map((projects, index) => {
      // the last group's output is shown as it arrives, the output of the earlier groups at the end
      const isShown = index === groups[lane].length - 1;
      const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportOf(index)}`];
      return vitest([...projects.flatMap((project) => ["--project", project]), ...reporters], isShown, index);
    }),
  );
  for (const { output } of ended) process.stdout.write(output); // empty for a run with shown output
  process.exitCode = Math.max(...ended.map(({ code }) => code));
  // at the end, because a reader of a long log sees its end only
  const failed = ended.flatMap(({ code }, index) => (code === 0 ? [] : failures(reportOf(index))));
  rmSync(reports, { recursive: true });
  if (failed.length > 0) console.error(`\nThese tests failed:\n${failed.join("\n")}`);
  else if (process.exitCode !== 0)
    console.error("\nNo test failed, but vitest reports an error: see its output above");
}
