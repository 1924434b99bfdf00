import {
  type InstrumentName,
  instrumentOf,
  instruments,
  isInstrument,
  readSeries,
  type Traffic,
} from "./instruments.ts";
import { histogramOf } from "./times.ts";

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
  const { type, unit, help, isExact } = instrumentOf(name);
  // OpenMetrics names the family, the text form the samples.
  const family = form === "openMetrics" || type === "histogram" ? name : `${name}_total`;
  const exactness = isExact ? "exact, from records" : "counted in isolates, may lose the last seconds";
  const head = [
    `# HELP ${family} ${help} (${exactness}).`,
    `# TYPE ${family} ${type}`,
    ...(form === "openMetrics" && name.endsWith(`_${unit}`) ? [`# UNIT ${family} ${unit}`] : []),
  ];
  const samples = type === "histogram" ? histogramLines(name, totals) : counterLines(name, totals);
  return [...head, ...samples, ""].join("\n");
}

const counterLines = (name: InstrumentName, totals: Traffic): readonly string[] =>
  Array.from(
    totals,
    ([series, n]) => `${name}_total${labelText(name, readSeries(series)?.labels ?? [])} ${n}`,
  ).sort();

function histogramLines(name: InstrumentName, totals: Traffic): readonly string[] {
  const times = Map.groupBy(totals, ([series]) => series.slice(0, series.lastIndexOf(" ")));
  return [...times].flatMap(([head, parts]) => {
    const labels = head.split(" ").slice(1);
    const { buckets, seconds } = histogramOf(head, new Map(parts));
    const upTo = buckets.map(
      (bucket) => `${name}_bucket${labelText(name, labels, bucket.limit)} ${bucket.upTo}`,
    );
    const all = buckets.at(-1)?.upTo ?? 0;
    return upTo.concat(
      `${name}_sum${labelText(name, labels)} ${seconds}`,
      `${name}_count${labelText(name, labels)} ${all}`,
    );
  });
}

function labelText(name: InstrumentName, values: readonly string[], limit?: string): string {
  const labels = instrumentOf(name).labels.map((label, i) => `${label}="${values[i] ?? ""}"`);
  const all = limit === undefined ? labels : [...labels, `le="${limit}"`];
  return all.length === 0 ? "" : `{${all.join(",")}}`;
}
