import { loadavg } from "node:os";
import { runLedgerGroup } from "./ledger/group.ts";
import { withEveryId } from "./measures.ts";
import { groups as allGroups, type BenchOptions } from "./options.ts";
import { runPagingGroup } from "./paging/group.ts";
import { endAll } from "./process/process.ts";
import { machineOf, type Report } from "./report.ts";
import { runRedactGroup } from "./redact/group.ts";
import { runRequestsGroup } from "./requests/group.ts";
import { runStartGroup } from "./start/group.ts";

/** One group after another: none works while another is measured. */
export async function runGroups(folder: string, { duration, rounds, groups }: BenchOptions): Promise<Report> {
  const [before, begun] = [loadavg()[0] ?? 0, performance.now()];
  const requests = groups.includes("requests") ? await runRequestsGroup(folder, duration, rounds) : null;
  await endAll();
  const redact = groups.includes("redact") ? await runRedactGroup(folder, duration, rounds) : [];
  await endAll();
  const ledger = groups.includes("ledger") ? await runLedgerGroup(folder, duration, rounds) : null;
  await endAll();
  const paging = groups.includes("paging") ? await runPagingGroup(folder) : [];
  await endAll();
  const start = groups.includes("start") ? await runStartGroup(folder, duration) : [];
  const measures = [
    ...(requests?.measures ?? []),
    ...redact,
    ...(ledger?.measures ?? []),
    ...paging,
    ...start,
  ];
  return {
    format: "phylax.bench.v2",
    at: new Date().toISOString(),
    duration,
    machine: machineOf([before, loadavg()[0] ?? 0]),
    seconds: Math.round((performance.now() - begun) / 1_000),
    measures: groups.length === allGroups.length ? withEveryId(measures) : measures,
    requests: requests?.report ?? null,
    ledger: ledger?.report ?? null,
  };
}
