import { cpus, release } from "node:os";
import { judge, limitOf, type Comparison } from "./against/compare.ts";
import type { LedgerReport } from "./ledger/group.ts";
import { ledgerTables } from "./ledger/table.ts";
import { boundText, targetOf, verdictOf, type Measure } from "./measures.ts";
import type { Duration } from "./options.ts";
import { isPinned } from "./process/process.ts";
import type { RequestsReport } from "./requests/group.ts";
import { requestTables } from "./requests/table.ts";
import { textTable } from "./text-table.ts";
import { workerdVersion } from "./workerd/binary.ts";

export const reportFormat = "phylax.bench.v3";

/** The comparison of this tree with a commit. */
export interface Against {
  readonly commit: string;
  readonly comparisons: readonly Comparison[];
}

/** All results of the benchmark, as `--json` writes them. */
export interface Report {
  readonly format: typeof reportFormat;
  readonly at: string;
  /** `short`: the run lasted moments only, so no figure means anything. */
  readonly duration: Duration;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly kernel: string;
    readonly node: string;
    readonly workerd: string;
    readonly isPinned: boolean;
    /** Other work of the machine, as the load average of a minute before and after the run. */
    readonly load: readonly [before: number, after: number];
  };
  /** From the start of the run to its end. */
  readonly seconds: number;
  /** Why the run has no verdicts; null: it has them. */
  readonly withheld: string | null;
  readonly measures: readonly Measure[];
  /** Null: the run did not compare with a commit. */
  readonly against: Against | null;
  /** With traces (new) and without (old). Null for a group that was not run. */
  readonly traces: readonly Comparison[] | null;
  readonly requests: RequestsReport | null;
  readonly ledger: LedgerReport | null;
}

export const machineOf = (load: Report["machine"]["load"]): Report["machine"] => ({
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  kernel: release(),
  node: process.versions.node,
  workerd: workerdVersion(),
  isPinned,
  load,
});

/** The tables for people: every measure with its verdict, then the details of each group. */
export function table(report: Report): string {
  const { measures, requests, ledger, machine, seconds, withheld, against, traces } = report;
  const { cpu, cores, node, workerd, load } = machine;
  const [before, after] = load.map((value) => value.toFixed(1));
  const head = `${cpu}, ${cores} cores; Node ${node}, workerd ${workerd}; load average ${before} before, ${after} after; ${seconds} s`;
  return [
    head,
    ...(measures.length === 0
      ? []
      : [textTable([measureColumns, ...measures.map((measure) => measureRow(measure, withheld))])]),
    ...(against === null
      ? []
      : [comparisonTable(`this tree (new) ÷ ${against.commit} (old)`, against.comparisons, withheld)]),
    ...(traces === null ? [] : [comparisonTable("traces on (new) ÷ off (old)", traces, withheld)]),
    ...(withheld === null ? [] : [`no verdicts: ${withheld}`]),
    ...measures.flatMap(({ id, why }) => (why === undefined ? [] : [`${id}: ${why}`])),
    ...(requests === null ? [] : requestTables(requests)),
    ...(ledger === null ? [] : ledgerTables(ledger)),
  ].join("\n\n");
}

const measureColumns = ["id", "value", "", "a", "b", "from", "to", "must", "goal", "verdict"] as const;

export function measureRow(measure: Measure, withheld: string | null): readonly string[] {
  const { id, value, from, to, unit, a, b, rounds } = measure;
  const { must, goal } = targetOf(id);
  return [
    id,
    digits(value),
    unit,
    digits(a),
    digits(b),
    rounds < 2 ? "" : digits(from),
    rounds < 2 ? "" : digits(to),
    boundText(must),
    goal === undefined ? "" : boundText(goal),
    shownVerdict(verdictOf(measure), withheld),
  ];
}

/** A verdict, unless the machine was too busy for any; that nothing was measured or required is none. */
const shownVerdict = (verdict: string, withheld: string | null) =>
  withheld === null || verdict === "report" || verdict === "not measured" ? verdict : "–";

const comparisonColumns = [
  "id",
  "old",
  "new",
  "",
  "new ÷ old",
  "from",
  "to",
  "A/A spread",
  "at most",
  "verdict",
];

function comparisonTable(what: string, comparisons: readonly Comparison[], withheld: string | null): string {
  const rows = comparisons.map((one) => [
    one.id,
    digits(one.old),
    digits(one.new),
    one.unit,
    one.ratio.toFixed(3),
    one.from.toFixed(3),
    one.to.toFixed(3),
    `${(100 * one.spread).toFixed(1)} %`,
    limitOf(one).toFixed(3),
    withheld === null ? judge(one) : "–",
  ]);
  return `CPU of ${what}\n${textTable([comparisonColumns, ...rows])}`;
}

/** Three significant digits, and whole numbers from 100 on. */
const digits = (value: number | null) =>
  value === null ? "–" : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
