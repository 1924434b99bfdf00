/** What a Worker's bundle may cost. */
export interface Budget {
  readonly config: string;
  /** The bundle in gzip. Cloudflare's limit is 10 MiB, and each isolate loads all of it. */
  readonly kibibytes: number;
  /** CPU time of the module's start in a local workerd. Cloudflare's limit is 1,000 ms. */
  readonly startMilliseconds: number;
}

/** The budgets: up to 20 % above the present sizes. A shared machine measures a start up to ten times too long. */
export const budgets: Readonly<Record<string, Budget>> = {
  gateway: { config: "wrangler.toml", kibibytes: 274, startMilliseconds: 700 },
  control: { config: "workers/control/wrangler.toml", kibibytes: 213, startMilliseconds: 700 },
  ledger: { config: "workers/ledger/wrangler.toml", kibibytes: 118, startMilliseconds: 700 },
  ops: { config: "workers/ops/wrangler.toml", kibibytes: 530, startMilliseconds: 700 },
  witness: { config: "workers/witness/wrangler.toml", kibibytes: 40, startMilliseconds: 700 },
};

interface Figures {
  readonly kibibytes: number;
  readonly startMilliseconds: number;
  /** SHA-256 of each build. */
  readonly digests: readonly string[];
}

/** What is wrong with a Worker's bundle, a sentence each. A start that could not be measured is wrong. */
export function bundleProblems(worker: string, figures: Figures, budget: Budget): readonly string[] {
  const { kibibytes, startMilliseconds, digests } = figures;
  return [
    ...(kibibytes <= budget.kibibytes
      ? []
      : [`${worker} has ${kibibytes} KiB, over its ${budget.kibibytes}`]),
    ...(startMilliseconds <= budget.startMilliseconds
      ? []
      : [`${worker} starts in ${startMilliseconds} ms, over its ${budget.startMilliseconds}`]),
    ...(new Set(digests).size === 1 ? [] : [`${worker}: two builds of the same sources differ`]),
  ];
}
