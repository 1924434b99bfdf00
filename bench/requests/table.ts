import { payloadsSaid } from "../data/payloads.ts";
import { median } from "../median.ts";
import { textTable } from "../text-table.ts";
import type { RequestsReport } from "./group.ts";
import type { Figure, Load } from "./measure.ts";

const columns = ["", "CPU µs", "× proxy", "× stock", "req/s", "p50 ms", "p99 ms"];

/** One table for each payload and load: medians over the rounds. */
export function requestTables({ source, payloads, peers, figures }: RequestsReport): readonly string[] {
  const groups = Map.groupBy(figures, ({ payload, load }) => JSON.stringify([payload, load]));
  const tables = [...groups.values()].flatMap((group) => {
    const [first] = group;
    const payload = payloads.find(({ name }) => name === first?.payload);
    if (first === undefined || payload === undefined) return [];
    const of = (name: string, quantity: (figure: Figure) => number) =>
      median(group.filter(({ peer }) => peer === name).map(quantity));
    const cpu = (figure: Figure) => figure.cpuMicrosPerRequest;
    const rows = peers
      .filter(({ name }) => group.some(({ peer }) => peer === name))
      .map(({ name }) => [
        name,
        of(name, cpu).toFixed(0),
        (of(name, cpu) / of("proxy", cpu)).toFixed(2),
        (of(name, cpu) / of("fastify-stock", cpu)).toFixed(2),
        of(name, (figure) => figure.requestsPerSecond).toFixed(0),
        of(name, (figure) => figure.p50Milliseconds).toFixed(2),
        of(name, (figure) => figure.p99Milliseconds).toFixed(2),
      ]);
    const title =
      `${payload.name}, ${loadText(first.load)}: ${payloadsSaid[payload.name]}, ` +
      `${payload.originBytes} bytes at the origin, ${payload.answerBytes} after the cut`;
    return [`${title}\n${textTable([columns, ...rows])}`];
  });
  const legend = peers.map(({ name, describe }) => `  ${name}: ${describe}`).join("\n");
  return [...tables, legend, `payloads: ${source}`];
}

const loadText = ({ connections, perSecond }: Load) =>
  perSecond === undefined
    ? `closed loop of ${connections} connections`
    : `open loop of ${perSecond} requests/s`;
