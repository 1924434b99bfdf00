import { cpus, release } from "node:os";
import type { LedgerReport } from "./ledger/group.ts";
import { ledgerTables } from "./ledger/table.ts";
import { boundText, targetOf, verdictOf, type Measure } from "./measures.ts";
import type { Duration } from "./options.ts";
import { isPinned } from "./process/process.ts";
import type { RequestsReport } from "./requests/group.ts";
import { requestTables } from "./requests/table.ts";
import { textTable } from "./text-table.ts";
import { workerdVersion } from "./workerd/binary.ts";

/** All results of the benchmark, as `--json` writes them. */
export interface Report {
  readonly format: "phylax.bench.v2";
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
  readonly measures: readonly Measure[];
  /** Null for a group that was not run. */
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
export function table({ measures, requests, ledger, machine, duration, seconds }: Report): string {
  const { cpu, cores, node, workerd, load } = machine;
  const [before, after] = load.map((value) => value.toFixed(1));
  const head = `${cpu}, ${cores} cores; Node ${node}, workerd ${workerd}; load average ${before} before, ${after} after; ${seconds} s`;
  return [
    head,
    textTable([measureColumns, ...measures.map(measureRow)]),
    ...measures.flatMap(({ id, why }) => (why === undefined ? [] : [`${id}: ${why}`])),
    ...(requests === null ? [] : requestTables(requests)),
    ...(ledger === null ? [] : ledgerTables(ledger)),
    ...(duration === "short" ? ["a short run: these figures mean nothing"] : []),
  ].join("\n\n");
}

const measureColumns = ["id", "value", "", "a", "b", "from", "to", "must", "goal", "verdict"] as const;

export function measureRow(measure: Measure): readonly string[] {
  const { id, value, unit, a, b, values } = measure;
  const { must, goal } = targetOf(id);
  return [
    id,
    digits(value),
    unit,
    digits(a),
    digits(b),
    values.length < 2 ? "" : digits(Math.min(...values)),
    values.length < 2 ? "" : digits(Math.max(...values)),
    boundText(must),
    goal === undefined ? "" : boundText(goal),
    verdictOf(measure),
  ];
}

/** Three significant digits, and whole numbers from 100 on. */
const digits = (value: number | null) =>
  value === null ? "–" : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
