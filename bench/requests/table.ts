import { payloadsSaid } from "../data/payloads.ts";
import { median } from "../median.ts";
import { textTable } from "../text-table.ts";
import type { RequestsReport } from "./group.ts";
import type { Figure, Load } from "./measure.ts";

const columns = ["", "CPU µs", "× proxy", "× stock", "req/s", "p50 ms", "p99 ms", "refused"];

/** One table for each payload and load: medians over the rounds. */
export function requestTables(report: RequestsReport): readonly string[] {
  const { source, peers } = report;
  const rows = requestRows(report);
  const legend = peers.map(({ name, describe }) => `  ${name}: ${describe}`).join("\n");
  return [
    ...requestTitles(report).map((title, i) => `${title}\n${textTable(rows[i] ?? [])}`),
    legend,
    `payloads: ${source}`,
  ];
}

const groupsOf = ({ figures }: RequestsReport): readonly (readonly Figure[])[] => [
  ...Map.groupBy(figures, ({ payload, load }) => JSON.stringify([payload, load])).values(),
];

/** The title of each table. */
export const requestTitles = (report: RequestsReport): readonly string[] =>
  groupsOf(report).flatMap(([first]) => {
    const payload = report.payloads.find(({ name }) => name === first?.payload);
    if (first === undefined || payload === undefined) return [];
    const { name, originBytes, answerBytes } = payload;
    return [
      `${name}, ${loadText(first.load)}: ${payloadsSaid[name]}, ` +
        `${originBytes} bytes at the origin, ${answerBytes} after the cut`,
    ];
  });

/** The rows of each table, its head first. */
export const requestRows = (report: RequestsReport): readonly (readonly (readonly string[])[])[] =>
  groupsOf(report).map((group) => {
    const of = (name: string, quantity: (figure: Figure) => number) =>
      median(group.filter(({ peer }) => peer === name).map(quantity));
    const cpu = (figure: Figure) => figure.cpuMicrosPerRequest;
    const rowsOf = report.peers
      .filter(({ name }) => group.some(({ peer }) => peer === name))
      .map(({ name }) => [
        name,
        of(name, cpu).toFixed(0),
        (of(name, cpu) / of("proxy", cpu)).toFixed(2),
        (of(name, cpu) / of("fastify-stock", cpu)).toFixed(2),
        of(name, (figure) => figure.requestsPerSecond).toFixed(0),
        of(name, (figure) => figure.p50Milliseconds).toFixed(2),
        of(name, (figure) => figure.p99Milliseconds).toFixed(2),
        of(name, (figure) => figure.refused).toFixed(0),
      ]);
    return [columns].concat(rowsOf);
  });

const loadText = ({ connections, perSecond }: Load) =>
  perSecond === undefined
    ? `closed loop of ${connections} connections`
    : `open loop of ${perSecond} requests/s`;
