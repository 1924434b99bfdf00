import { type InstrumentName, instruments, isInstrument, readSeries, type Traffic } from "./instruments.ts";

/** The forms of `/metrics`: Prometheus text 0.0.4, and OpenMetrics 1.0 if `Accept` names it. */
export const metricsTypes = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
} as const;
export type MetricsForm = keyof typeof metricsTypes;

export const metricsForm = (accept: string | null): MetricsForm =>
  /application\/openmetrics-text/iu.test(accept ?? "") ? "openMetrics" : "prometheus";

/** The totals as text for a scraper. A series of a different version does not show. */
export function metricsText(totals: Traffic, form: MetricsForm): string {
  const lines = Map.groupBy(totals, ([series]) => readSeries(series)?.instrument);
  const families = Object.keys(instruments)
    .filter(isInstrument)
    .map((name) => familyText(name, new Map(lines.get(name)), form));
  return `${families.join("")}${form === "openMetrics" ? "# EOF\n" : ""}`;
}

function familyText(name: InstrumentName, totals: Traffic, form: MetricsForm): string {
  // OpenMetrics names the family, the text form the samples.
  const family = form === "openMetrics" ? name : `${name}_total`;
  const head = `# HELP ${family} ${instruments[name].help}.\n# TYPE ${family} counter\n`;
  const samples = Array.from(totals, ([series, total]) => {
    const values = readSeries(series)?.labels ?? [];
    const labels = instruments[name].labels.map((label, i) => `${label}="${values[i] ?? ""}"`);
    return `${name}_total{${labels.join(",")}} ${total}\n`;
  });
  return head + samples.sort().join("");
}
