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
  gateway: { config: "wrangler.toml", kibibytes: 280, startMilliseconds: 700 },
  control: { config: "workers/control/wrangler.toml", kibibytes: 220, startMilliseconds: 700 },
  ledger: { config: "workers/ledger/wrangler.toml", kibibytes: 115, startMilliseconds: 700 },
  guards: { config: "workers/guards/wrangler.toml", kibibytes: 15, startMilliseconds: 700 },
  jobs: { config: "workers/jobs/wrangler.toml", kibibytes: 330, startMilliseconds: 700 },
  ops: { config: "workers/ops/wrangler.toml", kibibytes: 545, startMilliseconds: 700 },
  witness: { config: "workers/witness/wrangler.toml", kibibytes: 40, startMilliseconds: 700 },
};

interface Figures {
  readonly kibibytes: number;
  readonly startMilliseconds: number;
  /** SHA-256 of the upload and of a further build. */
  readonly builds: readonly string[];
  /** SHA-256 of wrangler's bundle and of ours, both by esbuild alone. */
  readonly bundles: readonly string[];
}

/** What is wrong with a Worker's bundle, a sentence each. A start that could not be measured is wrong. */
export function bundleProblems(worker: string, figures: Figures, budget: Budget): readonly string[] {
  const { kibibytes, startMilliseconds, builds, bundles } = figures;
  return [
    ...(kibibytes <= budget.kibibytes
      ? []
      : [`${worker} has ${kibibytes} KiB, over its ${budget.kibibytes}`]),
    ...(startMilliseconds <= budget.startMilliseconds
      ? []
      : [`${worker} starts in ${startMilliseconds} ms, over its ${budget.startMilliseconds}`]),
    ...(new Set(builds).size === 1 ? [] : [`${worker}: two builds of the same sources differ`]),
    ...(new Set(bundles).size === 1 ? [] : [`${worker}: esbuild's options are not wrangler's`]),
  ];
}
