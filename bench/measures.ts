import { estimate, median } from "./median.ts";

/** A bound on a value, as the issue of the figure sets it. */
type Bound = { readonly atMost: number } | { readonly atLeast: number };

interface Target {
  /** Both quantities and their relation. */
  readonly says: string;
  readonly unit: string;
  /** Undefined: the value is reported only. */
  readonly must?: Bound;
  readonly goal?: Bound;
}

const cpu = (payload: string, peer: string) => `CPU per request, Phylax ÷ ${peer}, ${payload}`;
const rate = (payload: string) => `requests/s on one core, Phylax ÷ fastify-stock, ${payload}`;
const redact = (payload: string) => `speed of Discloser ÷ JSON.parse + JSON.stringify, ${payload}`;

const form = (made: string) => `CPU of ${made} ÷ Discloser, 60 KB, everything kept`;

/**
 * Every figure of the benchmark, with the value that it must have and the value that it should have. A closed
 * loop has 32 connections where nothing else is said.
 */
export const targets = {
  "cpu-2k-vs-floor": { says: cpu("2 KB", "floor"), unit: "×", must: { atMost: 2.6 }, goal: { atMost: 1.7 } },
  "cpu-60k-vs-floor": {
    says: cpu("60 KB", "floor"),
    unit: "×",
    must: { atMost: 3.3 },
    goal: { atMost: 2.2 },
  },
  "cpu-2k-vs-bare": { says: cpu("2 KB", "proxy"), unit: "×" },
  "cpu-60k-vs-bare": { says: cpu("60 KB", "proxy"), unit: "×" },
  "cpu-half-vs-bare": { says: cpu("60 KB, half of the rows hidden", "proxy"), unit: "×" },
  "rps-2k-vs-stock": { says: rate("2 KB"), unit: "×", must: { atLeast: 0.4 }, goal: { atLeast: 0.55 } },
  "rps-60k-vs-stock": { says: rate("60 KB"), unit: "×", must: { atLeast: 0.6 }, goal: { atLeast: 1 } },
  "rps-half-vs-stock": { says: rate("half of the rows hidden"), unit: "×" },
  "rps-2k-c4-vs-stock": { says: rate("2 KB, 4 connections"), unit: "×" },
  "cpu-2k-vs-tuned": { says: cpu("2 KB", "fastify-tuned"), unit: "×" },
  "cpu-60k-vs-tuned": { says: cpu("60 KB", "fastify-tuned"), unit: "×" },
  "cpu-2k-vs-tuned-cache": { says: cpu("2 KB", "fastify-tuned-cache"), unit: "×" },
  "cpu-60k-vs-tuned-cache": { says: cpu("60 KB", "fastify-tuned-cache"), unit: "×" },
  "cpu-patients-2-vs-bare": { says: cpu("a page of 2 Patients", "proxy"), unit: "×" },
  "cpu-patients-20-vs-bare": { says: cpu("a page of 20 Patients", "proxy"), unit: "×" },
  "cpu-patients-100-vs-bare": { says: cpu("a page of 100 Patients", "proxy"), unit: "×" },
  "cpu-patients-2-vs-floor": { says: cpu("a page of 2 Patients", "floor"), unit: "×" },
  "cpu-patients-20-vs-floor": { says: cpu("a page of 20 Patients", "floor"), unit: "×" },
  "cpu-patients-100-vs-floor": { says: cpu("a page of 100 Patients", "floor"), unit: "×" },
  "cpu-consents-1-vs-0": { says: "CPU of a page of 20 rows, 1 Consent on file ÷ none", unit: "×" },
  "cpu-consents-50-vs-0": { says: "CPU of a page of 20 rows, 50 Consents on file ÷ none", unit: "×" },
  "cpu-cold-vs-hot": {
    says: "CPU per request, 256 clients once in six seconds ÷ 16 clients, 2 KB, 43/s",
    unit: "×",
  },
  "open-loop-p50-added-ms": { says: "p50 of Phylax − p50 of proxy, 60 KB, 50 requests/s", unit: "ms" },
  "open-loop-p95-added-ms": { says: "p95 of Phylax − p95 of proxy, 60 KB, 50 requests/s", unit: "ms" },
  "open-loop-slow-percent": { says: "Phylax's answers over 25 ms, 60 KB, 50 requests/s", unit: "%" },
  "open-loop-400-p50-added-ms": { says: "p50 of Phylax − p50 of proxy, 60 KB, 400 requests/s", unit: "ms" },
  "open-loop-400-p95-added-ms": { says: "p95 of Phylax − p95 of proxy, 60 KB, 400 requests/s", unit: "ms" },
  "open-loop-400-slow-percent": { says: "Phylax's answers over 25 ms, 60 KB, 400 requests/s", unit: "%" },
  "redact-2k": { says: redact("2 KB"), unit: "×", must: { atLeast: 0.8 }, goal: { atLeast: 2.5 } },
  "redact-60k": { says: redact("60 KB"), unit: "×", must: { atLeast: 1 }, goal: { atLeast: 2.5 } },
  "redact-60k-consent-share": {
    says: "speed of Discloser with a Consent and labels by codes ÷ without, 60 KB",
    unit: "×",
    must: { atLeast: 0.85 },
    goal: { atLeast: 0.95 },
  },
  "redact-1500k": { says: redact("1.5 MB"), unit: "×", must: { atLeast: 1 }, goal: { atLeast: 2.5 } },
  "redact-keep-all-60k": {
    says: redact("60 KB, everything kept"),
    unit: "×",
    must: { atLeast: 1 },
    goal: { atLeast: 2.5 },
  },
  "redact-stream-share": {
    says: "speed of Discloser, 1.5 MB in windows of 64 KiB ÷ in one piece",
    unit: "×",
    must: { atLeast: 0.7 },
    goal: { atLeast: 0.85 },
  },
  "form-safe-harbor-60k": { says: form("Safe Harbor, codes at hand"), unit: "×", must: { atMost: 1.3 } },
  "form-limited-60k": { says: form("a limited data set, codes at hand"), unit: "×", must: { atMost: 1.3 } },
  "form-coded-60k": { says: form("Safe Harbor, codes remembered"), unit: "×", must: { atMost: 2 } },
  "form-asked-60k": { says: form("Safe Harbor, codes asked of their object"), unit: "×" },
  "form-jobs-60k": { says: form("Safe Harbor by a call of jobs, codes remembered"), unit: "×" },
  "append-1": {
    says: "appends/s, ledger ÷ a row for each event, 1 caller",
    unit: "×",
    must: { atLeast: 0.6 },
    goal: { atLeast: 0.9 },
  },
  "append-256": { says: "appends/s, ledger ÷ a row for each event, 256 callers", unit: "×" },
  "append-tail-256": { says: "p99 of an append, ledger ÷ a row for each event, 256 callers", unit: "×" },
  "leaf-bytes": {
    says: "bytes stored for a read's record, its accounting line and `fill` included",
    unit: "bytes",
    must: { atMost: 1_175 },
    goal: { atMost: 920 },
  },
  "append-cpu-vs-call": {
    says: "CPU of an append ÷ CPU of an empty call of an object, 256 callers",
    unit: "×",
    must: { atMost: 1.8 },
    goal: { atMost: 1.4 },
  },
  "append-1-cpu-vs-call": {
    says: "CPU of an append ÷ CPU of an empty call of an object, 1 caller",
    unit: "×",
  },
  "redact-codes-1": { says: "CPU of Discloser, a list of 1 code ÷ no condition, 60 KB", unit: "×" },
  "redact-codes-50": { says: "CPU of Discloser, a list of 50 codes ÷ no condition, 60 KB", unit: "×" },
  "redact-codes-200": { says: "CPU of Discloser, a list of 200 codes ÷ no condition, 60 KB", unit: "×" },
  "redact-codes-5x200": { says: "CPU of Discloser, 5 lists of 200 codes ÷ no condition, 60 KB", unit: "×" },
  "redact-codes-5x200-distinct": {
    says: "CPU of Discloser, 5 lists of 200 codes ÷ no condition, 60 KB, each row with a code of its own",
    unit: "×",
  },
  "redact-consents-1": {
    says: "CPU of Discloser, 1 Consent about author, date and code ÷ none, 60 KB",
    unit: "×",
  },
  "redact-consents-50": {
    says: "CPU of Discloser, 50 Consents about author, date and code ÷ none, 60 KB",
    unit: "×",
  },
  "start-up-cpu-ms": {
    says: "CPU to the first 200 of a fresh workerd, gateway − empty Worker",
    unit: "ms",
    must: { atMost: 250 },
  },
  "verify-vs-sha256": {
    says: "CPU of verifying a log ÷ hashing its bytes twice",
    unit: "×",
    must: { atMost: 4 },
    goal: { atMost: 2 },
  },
  "origin-rows-per-row": {
    says: "rows that the origin sent ÷ rows answered, results paged by ten",
    unit: "×",
    must: { atMost: 2 },
    goal: { atMost: 1.2 },
  },
  "origin-requests-per-request": {
    says: "requests to the origin ÷ requests answered, the same pages",
    unit: "×",
  },
  "start-up-vs-empty": {
    says: "time to the first 200 of a fresh workerd, gateway ÷ empty Worker",
    unit: "×",
  },
  "bundle-gz-kb": {
    says: "the gateway's minified bundle after gzip",
    unit: "KiB",
    must: { atMost: 280 },
  },
  "command-help-vs-node": {
    says: "CPU of `phylax token --help` ÷ `node -e 0`",
    unit: "×",
    must: { atMost: 5 },
    goal: { atMost: 2 },
  },
  "command-token-vs-node": {
    says: "CPU of `phylax token` with a token that it signs itself ÷ `node -e 0`",
    unit: "×",
    must: { atMost: 5 },
    goal: { atMost: 3 },
  },
} as const satisfies Readonly<Record<string, Target>>;

export type MeasureId = keyof typeof targets;

/** One figure, as `--json` writes it. */
export interface Measure {
  readonly id: MeasureId;
  /** The centre over the rounds of `a` with `b`, paired round by round. Null: not measured, `why` says why. */
  readonly value: number | null;
  /** The interval that contains the centre with 95 %; of fewer than six rounds the lowest and the highest. */
  readonly from: number | null;
  readonly to: number | null;
  readonly unit: string;
  /** Medians of the two quantities; null where there is only one. */
  readonly a: number | null;
  readonly b: number | null;
  readonly rounds: number;
  /** The value of each round. */
  readonly values: readonly number[];
  readonly why?: string;
}

/** The two quantities of one round. */
export interface Pair {
  readonly a: number;
  readonly b: number;
}

export const ratioOf = (id: MeasureId, pairs: readonly Pair[]): Measure =>
  combined(id, pairs, ({ a, b }) => a / b);
export const differenceOf = (id: MeasureId, pairs: readonly Pair[]): Measure =>
  combined(id, pairs, ({ a, b }) => a - b);
export const valueOf = (id: MeasureId, values: readonly number[]): Measure => ({
  ...combined(
    id,
    values.map((a) => ({ a, b: 0 })),
    ({ a }) => a,
  ),
  b: null,
});
export const notMeasured = (id: MeasureId, why: string): Measure => ({
  id,
  value: null,
  from: null,
  to: null,
  unit: targets[id].unit,
  a: null,
  b: null,
  rounds: 0,
  values: [],
  why,
});

/** These figures, and each further id of the benchmark as not measured: every run of all groups has the same ids. */
export function withEveryId(measures: readonly Measure[]): readonly Measure[] {
  const ids = new Set(measures.map(({ id }) => id));
  const further = (Object.keys(targets) as MeasureId[]).filter((id) => !ids.has(id));
  return [...measures, ...further.map((id) => notMeasured(id, "no group of this run gave it"))];
}

function combined(id: MeasureId, pairs: readonly Pair[], combine: (pair: Pair) => number): Measure {
  const values = pairs.map(combine);
  if (!values.every(Number.isFinite) || values.length === 0) throw new Error(`${id} has no finite value`);
  return {
    id,
    ...estimate(values),
    unit: targets[id].unit,
    a: median(pairs.map(({ a }) => a)),
    b: median(pairs.map(({ b }) => b)),
    rounds: pairs.length,
    values,
  };
}

/**
 * "goal", "must" (met, but not the goal), "MISSED", "near must" (the interval of the value has the bound in it, so a
 * further run may say the one or the other), "report" (nothing is required), or "not measured".
 */
export function verdictOf({ id, value, from, to }: Pick<Measure, "id" | "value" | "from" | "to">): string {
  const { must, goal }: Target = targets[id];
  if (value === null) return "not measured";
  const met = (bound: Bound): boolean | undefined => {
    const ends = [from ?? value, to ?? value].map((end) => meets(end, bound));
    return ends.every(Boolean) ? true : ends.some(Boolean) ? undefined : false;
  };
  if (goal !== undefined && met(goal) === true) return "goal";
  if (must === undefined) return goal === undefined ? "report" : "report, goal missed";
  return { true: "must", false: "MISSED", undefined: "near must" }[`${met(must)}`];
}

const meets = (value: number, bound: Bound) =>
  "atMost" in bound ? value <= bound.atMost : value >= bound.atLeast;

export const boundText = (bound: Bound | undefined): string =>
  bound === undefined ? "report" : "atMost" in bound ? `≤ ${bound.atMost}` : `≥ ${bound.atLeast}`;

export const targetOf = (id: MeasureId): Target => targets[id];
