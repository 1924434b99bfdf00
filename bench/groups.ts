import { loadavg } from "node:os";
import { runAgainst } from "./against/group.ts";
import { runTracesGroup } from "./against/traces.ts";
import { runLedgerGroup } from "./ledger/group.ts";
import { withEveryId } from "./measures.ts";
import { groups as allGroups, type BenchOptions } from "./options.ts";
import { runPagingGroup } from "./paging/group.ts";
import { endAll } from "./process/process.ts";
import type { LoadBefore } from "./quiet.ts";
import { machineOf, reportFormat, type Report } from "./report.ts";
import { runRedactGroup } from "./redact/group.ts";
import { runRequestsGroup } from "./requests/group.ts";
import { runStartGroup } from "./start/group.ts";

/** One group after another: none works while another is measured. */
export async function runGroups(
  folder: string,
  options: BenchOptions,
  { load, withheld }: LoadBefore,
): Promise<Report> {
  const { duration, rounds, groups, against: commit } = options;
  const begun = performance.now();
  const frame = (found: Pick<Report, "measures" | "requests" | "ledger" | "against" | "traces">): Report => ({
    format: reportFormat,
    at: new Date().toISOString(),
    duration,
    machine: machineOf([load, loadavg()[0] ?? 0]),
    seconds: Math.round((performance.now() - begun) / 1_000),
    withheld,
    ...found,
  });
  if (commit !== undefined) {
    const against = await runAgainst(folder, commit, options);
    return frame({ measures: [], requests: null, ledger: null, against, traces: null });
  }
  const requests = groups.includes("requests") ? await runRequestsGroup(folder, duration, rounds) : null;
  await endAll();
  const redact = groups.includes("redact") ? await runRedactGroup(folder, duration, rounds) : [];
  await endAll();
  const ledger = groups.includes("ledger") ? await runLedgerGroup(folder, duration, rounds) : null;
  await endAll();
  const paging = groups.includes("paging") ? await runPagingGroup(folder) : [];
  await endAll();
  const start = groups.includes("start") ? await runStartGroup(folder, duration) : [];
  await endAll();
  const traces = groups.includes("traces") ? await runTracesGroup(folder, duration, rounds) : null;
  const measures = [
    ...(requests?.measures ?? []),
    ...redact,
    ...(ledger?.measures ?? []),
    ...paging,
    ...start,
  ];
  return frame({
    measures: groups.length === allGroups.length ? withEveryId(measures) : measures,
    requests: requests?.report ?? null,
    ledger: ledger?.report ?? null,
    against: null,
    traces,
  });
}
