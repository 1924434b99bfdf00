import { parseArgs } from "node:util";
import { err, ok, type Result } from "#kernel/result";

/** short: one round of moments, to see that everything answers. quick: every figure within four minutes. */
export type Duration = "full" | "quick" | "short";

export interface BenchOptions {
  /** The file for all figures as JSON. */
  readonly json: string | undefined;
  /** The folder for CPU profiles; nothing else is measured then. */
  readonly profile: string | undefined;
  /** The commit to compare with, or `baseline`; nothing else is measured then. */
  readonly against: string | undefined;
  /** Minutes to wait at most until the machine is quiet. */
  readonly wait: number;
  readonly duration: Duration;
  readonly rounds: number;
  /** The groups to measure. */
  readonly groups: readonly Group[];
}

export const groups = ["requests", "redact", "ledger", "paging", "start", "traces"] as const;
export type Group = (typeof groups)[number];
/** The groups that a commit can be compared in. */
const comparedGroups = ["requests", "redact", "ledger"] as const satisfies readonly Group[];
const isCompared = (group: Group) => comparedGroups.some((one) => one === group);

/** The rounds of a run of each length. */
export const roundsOf: Readonly<Record<Duration, number>> = { full: 5, quick: 3, short: 1 };

export const usage = `usage: npm run bench -- [--quick | --short] [--only GROUP]… [--against COMMIT] [--wait MINUTES]
         [--rounds N] [--json FILE] [--profile DIR]
  --quick       fewer and shorter rounds: every figure within four minutes
  --short       one round of moments, to see that everything answers; its figures mean nothing
  --only GROUP  ${groups.join(", ")} (all, one after the other)
  --against COMMIT  only compare this tree with a commit, or with that of bench/baseline (baseline), in the
                groups ${comparedGroups.join(", ")}
  --wait MINUTES  wait for a load average of 1.5 at most before the run (5); a run above it has no verdicts
  --rounds N    interleaved rounds (5; 3 with --quick); the slices of the requests are more or fewer with them
  --json FILE   write every figure to a file, too
  --profile DIR only write CPU profiles of Phylax's isolates under load (docs/performance.md)`;

export function readOptions(args: readonly string[]): Result<BenchOptions, string> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "string" },
        profile: { type: "string" },
        quick: { type: "boolean", default: false },
        short: { type: "boolean", default: false },
        rounds: { type: "string" },
        against: { type: "string" },
        wait: { type: "string", default: "5" },
        only: { type: "string", multiple: true },
      },
    });
    if (values.quick && values.short) return err("--quick and --short: give one of the two");
    const duration = values.short ? "short" : values.quick ? "quick" : "full";
    const rounds = Number(values.rounds ?? roundsOf[duration]);
    if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100)
      return err("--rounds: expected a number from 1 to 100");
    const unknown = values.only?.find((name) => !groups.some((group) => group === name));
    if (unknown !== undefined) return err(`--only: expected ${groups.join(" or ")}`);
    const wait = Number(values.wait);
    if (values.wait === "" || !(wait >= 0 && wait <= 600))
      return err("--wait: expected minutes from 0 to 600");
    const { json, profile, against, only } = values;
    if (against !== undefined && profile !== undefined)
      return err("--against and --profile: give one of the two");
    if (against?.startsWith("-") === true || against === "") return err("--against: expected a commit");
    const asked = groups.filter((group) => only?.includes(group) ?? true);
    const measured = against === undefined ? asked : asked.filter(isCompared);
    if (measured.length === 0) return err(`--against compares in the groups ${comparedGroups.join(", ")}`);
    return ok({ json, profile, against, wait, duration, rounds, groups: measured });
  } catch (problem) {
    return err(problem instanceof Error ? problem.message : "unreadable options");
  }
}
