import { parseArgs } from "node:util";
import { err, ok, type Result } from "#kernel/result";

/** short: one round of moments, to see that everything answers. quick: every figure within five minutes. */
export type Duration = "full" | "quick" | "short";

export interface BenchOptions {
  /** The file for all figures as JSON. */
  readonly json: string | undefined;
  /** The folder for CPU profiles; nothing else is measured then. */
  readonly profile: string | undefined;
  readonly duration: Duration;
  readonly rounds: number;
  /** The groups to measure. */
  readonly groups: readonly Group[];
}

export const groups = ["requests", "redact", "ledger", "paging", "start"] as const;
export type Group = (typeof groups)[number];

/** The rounds of a run of each length. */
export const roundsOf: Readonly<Record<Duration, number>> = { full: 5, quick: 3, short: 1 };

export const usage = `usage: npm run bench -- [--quick | --short] [--only GROUP]… [--rounds N] [--json FILE] [--profile DIR]
  --quick       fewer and shorter rounds: every figure within five minutes
  --short       one round of moments, to see that everything answers; its figures mean nothing
  --only GROUP  ${groups.join(", ")} (all, one after the other)
  --rounds N    interleaved rounds, of which the medians are shown (5; 3 with --quick)
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
    const asked = groups.filter((group) => values.only?.includes(group) ?? true);
    return ok({ json: values.json, profile: values.profile, duration, rounds, groups: asked });
  } catch (problem) {
    return err(problem instanceof Error ? problem.message : "unreadable options");
  }
}
