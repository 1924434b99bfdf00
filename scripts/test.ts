// Runs the tests of the lane in PHYLAX_LANE, by default the fast lane, and says whether it kept its budget. With
// arguments, a single vitest gets them: `npm test -- test/fhir/search.test.ts` runs that file.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { endedChildrenMicros } from "../bench/process/cpu.ts";
import { lane } from "../test/support/lane.ts";
import {
  budgetLine,
  dearestFiles,
  lanes,
  refusalInCi,
  testsLine,
  type FileTime,
  type Group,
  type UnreportedByVitest,
} from "./lanes.ts";
import { machineFactor } from "./machine-factor.ts";

const { minutes, minutesMax, parts } = lanes[lane];

interface Run {
  readonly code: number;
  readonly output: Buffer;
}

interface VitestOptions {
  readonly isShown: boolean;
  readonly minutesMax: number;
  /** A number of its own for each vitest that runs at the same time. */
  readonly group?: number;
  /** The file for scripts/unreported.ts. */
  readonly unreported?: string;
}

function vitest(args: readonly string[], options: VitestOptions): Promise<Run> {
  const { isShown, group = 0, unreported = "" } = options;
  const child = spawn(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...args], {
    stdio: ["ignore", isShown ? "inherit" : "pipe", isShown ? "inherit" : "pipe"],
    env: { ...process.env, PHYLAX_TEST_GROUP: String(group), PHYLAX_UNREPORTED: unreported },
  });
  // and waits for the child
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  const watch = setTimeout(() => {
    console.error(
      `vitest run ${args.join(" ")} did not end within ${options.minutesMax} minutes: it is stopped`,
    );
    child.kill("SIGKILL");
  }, options.minutesMax * 60_000);
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

const failure = (of: string, error: string): string =>
  [`  ${of}`, ...error.split("\n", errorLinesMax).map((line) => `    ${line.slice(0, 300)}`)].join("\n");

/** Each failed test, and each file that did not load, with the first lines of its error. */
function failures(report: Report | undefined): readonly string[] {
  if (report === undefined) return ["vitest ended without a report"];
  return report.testResults.flatMap(({ name, message = "", assertionResults }) => {
    const file = relative(process.cwd(), name);
    const failed = assertionResults
      .filter(({ status }) => status === "failed")
      .map(({ fullName, failureMessages = [] }) => ({
        of: `${file}: ${fullName}`,
        error: failureMessages[0],
      }));
    if (assertionResults.length === 0 && message !== "") failed.push({ of: file, error: message });
    return failed.map(({ of, error = "" }) => failure(of, error));
  });
}

interface Ended {
  readonly code: number;
  readonly failures: readonly string[];
  /** The status of each test: "passed", "failed", or a word of vitest for a test that did not run. */
  readonly statuses: readonly string[];
  readonly times: readonly FileTime[];
}

/** Runs groups side by side. */
async function run(groups: readonly Group[], limit: number): Promise<Ended> {
  const reports = mkdtempSync(join(tmpdir(), "phylax-reports-"));
  const reportOf = (index: number) => join(reports, `${index}.json`);
  const unreportedOf = (index: number) => join(reports, `${index}-unreported.json`);
  const ended = await Promise.all(
    groups.map(({ projects, folders = [] }, index) => {
      const reporters = ["default", "json", join(import.meta.dirname, "unreported.ts")];
      return vitest(
        [
          ...projects.flatMap((project) => ["--project", project]),
          ...reporters.map((reporter) => `--reporter=${reporter}`),
          `--outputFile.json=${reportOf(index)}`,
          ...folders,
        ],
        {
          // the last group's output is shown as it arrives, the output of the earlier groups at the end
          isShown: index === groups.length - 1,
          minutesMax: limit,
          group: index,
          unreported: unreportedOf(index),
        },
      );
    }),
  );
  for (const { output } of ended) process.stdout.write(output); // empty for a run with shown output
  const reported = ended.map((_, index) => {
    const file = reportOf(index);
    return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Report) : undefined;
  });
  const unreported = ended.map((_, index): UnreportedByVitest => {
    const file = unreportedOf(index);
    return existsSync(file)
      ? (JSON.parse(readFileSync(file, "utf8")) as UnreportedByVitest)
      : { times: [], errors: [] };
  });
  const result = {
    code: Math.max(...ended.map(({ code }) => code)),
    failures: [
      ...ended.flatMap(({ code }, index) => (code === 0 ? [] : failures(reported[index]))),
      ...unreported.flatMap(({ errors }) => errors.map((error) => failure("outside of any test", error))),
    ],
    statuses: reported.flatMap((report) =>
      (report?.testResults ?? []).flatMap(({ assertionResults }) =>
        assertionResults.map(({ status }) => status),
      ),
    ),
    times: unreported.flatMap(({ times }) => times),
  };
  rmSync(reports, { recursive: true });
  return result;
}

/** Microseconds that all processors have worked, and that they have worked for ended children of this process. */
const workSoFar = () => ({
  all: cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq, 0) * 1_000,
  // the kernel's /proc has the figure
  ours: process.platform === "linux" ? endedChildrenMicros() : Number.NaN,
});

/** Starts to time and to count work. The result says what was spent since. */
function stopwatch() {
  const [begun, work] = [performance.now(), workSoFar()];
  return () => {
    const [seconds, now] = [(performance.now() - begun) / 1_000, workSoFar()];
    const [all, ours] = [now.all - work.all, now.ours - work.ours].map((micros) => micros / 1_000_000);
    if (all === undefined || ours === undefined || Number.isNaN(ours)) return { seconds };
    const othersShare = Math.max(0, all - ours) / (cpus().length * seconds);
    return { seconds, work: { seconds: ours, othersShare } };
  };
}

const ciStarted = process.env["PHYLAX_CI_STARTED"]; // seconds since 1970; .ci/run sets it
const ciMinutes = () => (ciStarted === undefined ? 0 : (Date.now() / 1_000 - Number(ciStarted)) / 60);

/** Runs the parts of the lane one after another. */
async function runLane(): Promise<void> {
  const load = loadavg()[0] ?? 0;
  const factor = await machineFactor();
  console.log(`This machine has the factor ${factor.toFixed(2)}; its load is ${load.toFixed(1)}.`);
  const limit = minutesMax * Math.max(1, factor); // a quick machine may be busy
  const told: string[] = [];
  const ended: Ended[] = [];
  const whole = stopwatch();
  for (const part of parts) {
    const refusal = refusalInCi(part, { factor, ciMinutes: ciMinutes() });
    if (refusal !== undefined) {
      ended.push({ code: 1, failures: [refusal], statuses: [], times: [] });
      break;
    }
    const spent = stopwatch();
    ended.push(await run(part.groups, limit));
    if (parts.length > 1) told.push(budgetLine({ ...part, ...spent(), factor }));
  }
  told.push(budgetLine({ name: `${lane} lane`, minutes, ...whole(), factor }));
  console.log(["\nThe dearest files:", ...dearestFiles(ended.flatMap(({ times }) => times))].join("\n"));
  console.log(["", ...told, testsLine(ended.flatMap(({ statuses }) => statuses))].join("\n"));
  process.exitCode = Math.max(...ended.map(({ code }) => code));
  // at the end, because a reader of a long log sees its end only
  const failed = ended.flatMap((part) => part.failures);
  if (failed.length > 0) console.error(`\nThese tests failed:\n${failed.join("\n")}`);
  else if (process.exitCode !== 0)
    console.error("\nNo test failed, but vitest reports an error: see its output above");
}

const named = process.argv.slice(2);
if (named.length > 0) process.exitCode = (await vitest(named, { isShown: true, minutesMax })).code;
else await runLane();
