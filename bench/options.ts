import { parseArgs } from "node:util";
import { err, ok, type Result } from "#kernel/result";

export interface BenchOptions {
  /** The file for all figures as JSON. */
  readonly json: string | undefined;
  /** One short round, to see that every peer answers. Its figures mean little. */
  readonly isShort: boolean;
  readonly rounds: number;
  /** The groups to measure. */
  readonly groups: readonly Group[];
}

const groups = ["requests", "ledger"] as const;
export type Group = (typeof groups)[number];

export const usage = `usage: npm run bench -- [--json FILE] [--rounds N] [--only GROUP] [--short]
  --json FILE  write every figure to a file, too
  --rounds N   interleaved rounds, of which the medians are shown (5)
  --only GROUP requests or ledger (both, one after the other)
  --short      one round of moments, to see that everything answers`;

export function readOptions(args: readonly string[]): Result<BenchOptions, string> {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "string" },
        short: { type: "boolean", default: false },
        rounds: { type: "string", default: "5" },
        only: { type: "string", multiple: true },
      },
    });
    const rounds = values.short ? 1 : Number(values.rounds);
    if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100)
      return err("--rounds: expected a number from 1 to 100");
    const unknown = values.only?.find((name) => !groups.some((group) => group === name));
    if (unknown !== undefined) return err(`--only: expected ${groups.join(" or ")}`);
    const asked = groups.filter((group) => values.only?.includes(group) ?? true);
    return ok({ json: values.json, isShort: values.short, rounds, groups: asked });
  } catch (problem) {
    return err(problem instanceof Error ? problem.message : "unreadable options");
  }
}
