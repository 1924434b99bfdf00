// The lanes of the tests: their parts, and how long a part may take. All minutes are minutes of the reference
// machine; scripts/test.ts multiplies them by the factor of the machine (scripts/machine-factor.ts).
import type { Lane } from "../test/support/lane.ts";

/** The files of a single vitest: projects of vitest.config.ts, limited to these folders. */
export interface Group {
  readonly projects: readonly string[];
  readonly folders?: readonly string[];
}

/** The part of a lane that runs before the next part starts. */
export interface Part {
  readonly name: string;
  /** The time on an idle machine. Undefined: not timed yet. */
  readonly minutes?: number;
  /** They run side by side. */
  readonly groups: readonly Group[];
}

interface LanePlan {
  /** The budget of the whole lane. */
  readonly minutes: number;
  /** A vitest that takes longer never ends: it is stopped, so that it does not block CI. */
  readonly minutesMax: number;
  readonly parts: readonly Part[];
}

/**
 * The slow lane kills processes and measures times, so each of its parts runs alone. `samples` is the full form
 * of files of which the fast lane takes a sample.
 */
const slowParts: readonly Part[] = [
  { name: "door and ledger", minutes: 7, groups: [{ projects: ["door", "second-door", "ledger"] }] },
  {
    name: "samples",
    minutes: 3,
    groups: [
      {
        projects: ["slow"],
        folders: [
          "test/bench",
          "test/e2e",
          "test/fhir",
          "test/gateway",
          "test/ledger",
          "test/phi",
          "test/sandbox",
        ],
      },
    ],
  },
  { name: "slow", minutes: 16, groups: [{ projects: ["slow"], folders: ["test/slow"] }] },
  { name: "fuzz", minutes: 3, groups: [{ projects: ["fuzz"] }] },
];

/**
 * The fast lane's end-to-end tests mostly wait, and the ledger's tests run one file after another, so its three
 * groups share the processors well.
 */
export const lanes: Readonly<Record<Lane, LanePlan>> = {
  fast: {
    minutes: 4,
    minutesMax: 20,
    parts: [
      {
        name: "fast",
        minutes: 4,
        groups: [
          { projects: ["pure", "door"] },
          { projects: ["guard", "ledger"] },
          { projects: ["e2e", "control", "jose"] },
        ],
      },
    ],
  },
  slow: { minutes: 45, minutesMax: 65, parts: slowParts },
  long: { minutes: 350, minutesMax: 350, parts: slowParts.map(({ name, groups }) => ({ name, groups })) },
};

/** CI is stopped after 90 minutes by the clock, on any machine: a part that cannot end within 75 must not start. */
export const ciMinutesMax = 75;

/** A sentence that says why a part must not start in this run of CI. Undefined: it may start. */
export function refusalInCi(
  { name, minutes }: Part,
  { factor, ciMinutes }: { readonly factor: number; readonly ciMinutes: number },
): string | undefined {
  if (minutes === undefined) return undefined;
  const expected = minutes * factor;
  if (ciMinutes + expected <= ciMinutesMax) return undefined;
  return (
    `The part "${name}" is not started: CI has run for ${ciMinutes.toFixed(0)} minutes, the part takes about ` +
    `${expected.toFixed(0)} on this machine, and CI may take ${ciMinutesMax}.`
  );
}

export interface Spent {
  readonly name: string;
  readonly seconds: number;
  /** The budget. Undefined: there is none yet. */
  readonly minutes?: number | undefined;
  readonly factor: number;
  /** Seconds of CPU, and the share of the processors that had other work meanwhile. Only Linux counts them. */
  readonly work?: { readonly seconds: number; readonly othersShare: number } | undefined;
}

/** The line that says whether a lane or a part kept its time. */
export function budgetLine({ name, seconds, minutes, factor, work }: Spent): string {
  const took = `${name}: ${Math.round(seconds)} s`;
  const worked =
    work === undefined
      ? ""
      : `; ${Math.round(work.seconds)} s of CPU, and other work had ${Math.round(work.othersShare * 100)} % of the processors`;
  if (minutes === undefined) return `${took}${worked}`;
  const budget = minutes * 60 * factor;
  return (
    `${took}, ${seconds <= budget ? "within" : "OVER"} its ${Math.round(budget)} s ` +
    `(${Math.round(minutes * 60)} s × ${factor.toFixed(2)}, the factor of this machine)${worked}`
  );
}

/** The time of a test file in one project: to load it, its hooks and its tests. */
export interface FileTime {
  readonly project: string;
  readonly file: string;
  readonly milliseconds: number;
}

/** The parts of a run that vitest's JSON report leaves out (scripts/unreported.ts). */
export interface UnreportedByVitest {
  readonly times: readonly FileTime[];
  /** The errors outside of tests, each with its stack. */
  readonly errors: readonly string[];
}

const dearest = 10;

/** The dearest files, a line each. */
export const dearestFiles = (times: readonly FileTime[]): readonly string[] =>
  times
    .toSorted((a, b) => b.milliseconds - a.milliseconds)
    .slice(0, dearest)
    .map(
      ({ project, file, milliseconds }) =>
        `${(milliseconds / 1_000).toFixed(1).padStart(7)} s  ${project}: ${file}`,
    );

/** The line that counts the tests of a lane by their statuses of vitest. */
export function testsLine(statuses: readonly string[]): string {
  const count = (status: string) => statuses.filter((each) => each === status).length;
  const [passed, failed] = [count("passed"), count("failed")];
  return `Tests: ${passed} passed, ${failed} failed, ${statuses.length - passed - failed} skipped (${statuses.length})`;
}
