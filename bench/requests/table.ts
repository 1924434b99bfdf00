import { median } from "../median.ts";
import { textTable } from "../text-table.ts";
import type { RequestsReport } from "./group.ts";
import type { Figure } from "./measure.ts";
import type { Load } from "./plans.ts";

const columns: readonly string[] = [
  "",
  "CPU µs",
  "× floor",
  "× proxy",
  "req/s",
  "p50 ms",
  "p95 ms",
  "> 25 ms",
  "refused",
];

/** One table for each plan: medians over the turns. */
export function requestTables(report: RequestsReport): readonly string[] {
  const { source, peers } = report;
  const rows = requestRows(report);
  const legend = peers.map(({ name, describe }) => `  ${name}: ${describe}`).join("\n");
  return [
    ...requestTitles(report).map((title, i) => `${title}\n${textTable(rows[i] ?? [])}`),
    legend,
    payloadsText(report),
    `payloads: ${source}`,
  ];
}

/** The bytes of each payload, before and after the cut. */
export const payloadsText = ({ payloads }: RequestsReport): string =>
  payloads
    .map(
      ({ name, says, originBytes, answerBytes }) =>
        `  ${name}: ${says}, ${originBytes} bytes, ${answerBytes} cut`,
    )
    .join("\n");

const figuresOf = ({ plans, figures }: RequestsReport) =>
  plans.map((plan) => ({ plan, figures: figures.filter((figure) => figure.plan === plan.name) }));

/** The title of each table. */
export const requestTitles = (report: RequestsReport): readonly string[] =>
  report.plans.map(({ name, says, load }) => `${name}: ${says}, ${loadText(load)}`);

/** The rows of each table, its head first. */
export const requestRows = (report: RequestsReport): readonly (readonly (readonly string[])[])[] =>
  figuresOf(report).map(({ figures }) => {
    const contestants = Map.groupBy(figures, (figure) => contestantName(figure));
    const cpuOf = (name: string) =>
      median((contestants.get(name) ?? []).map(({ cpuMicrosPerRequest }) => cpuMicrosPerRequest));
    const times = (cpu: number, name: string) =>
      contestants.has(name) ? (cpu / cpuOf(name)).toFixed(2) : "";
    const rows = Array.from(contestants, ([name, slices]) => {
      const of = (quantity: (figure: Figure) => number) => median(slices.map(quantity));
      const cpu = cpuOf(name);
      return [
        name,
        cpu.toFixed(0),
        times(cpu, "floor"),
        times(cpu, "proxy"),
        of(({ requestsPerSecond }) => requestsPerSecond).toFixed(0),
        of(({ p50Milliseconds }) => p50Milliseconds).toFixed(2),
        of(({ p95Milliseconds }) => p95Milliseconds).toFixed(2),
        `${of(({ slowPercent }) => slowPercent).toFixed(1)} %`,
        of(({ refused }) => refused).toFixed(0),
      ];
    });
    return [columns].concat(rows.toSorted(([a = ""], [b = ""]) => order(report, a) - order(report, b)));
  });

/** A peer by its name, with the payload or the clients where one peer has several in a plan. */
export const contestantName = ({
  peer,
  payload,
  crowd,
}: Pick<Figure, "peer" | "payload" | "crowd">): string =>
  [peer, ...(crowd === "consents" ? [payload] : []), ...(crowd === "cold" ? ["(cold)"] : [])].join(" ");

const order = ({ peers }: RequestsReport, name: string) =>
  peers.findIndex((peer) => peer.name === name.split(" ")[0]);

const loadText = ({ connections, perSecond }: Load) =>
  perSecond === undefined
    ? `closed loop of ${connections} connections`
    : `open loop of ${perSecond.toFixed(0)} requests/s`;
