import type { GaugeName } from "#audit/alerts/gauges";
import { type InstrumentName, otherLabel, type Series, type Traffic } from "#audit/traffic/instruments";
import { type RequestQuota, requestsASecond } from "#limits/request-quota";
import type { Timeline } from "./timeline.ts";

/** A plot of an instrument over time. */
interface PlotBase {
  readonly instrument: InstrumentName;
  /** True: the plot names clients, so only a reader of the registry sees the plot. */
  readonly isOfClients?: boolean;
}

/** Counts by the values of some labels, stacked. */
interface StackPlot extends PlotBase {
  readonly draws: "stack";
  readonly labels: readonly number[];
  /** The plot leaves out series with one of these labels. */
  readonly without?: readonly string[];
  /** True: a bar leads to its refusals. */
  readonly leadsToRefusals?: boolean;
}

/** The median and the 95th percentile of a wait. */
interface WaitPlot extends PlotBase {
  readonly draws: "waits";
  readonly wait: string;
}

/** The share of the request quotas that a client uses. */
interface QuotaPlot extends PlotBase {
  readonly draws: "quotas";
}

/** The highest ages of a gauge, by its label. */
interface AgePlot {
  readonly draws: "ages";
  readonly gauge: GaugeName;
  readonly isOfClients?: false;
}

export type Plot = StackPlot | WaitPlot | QuotaPlot | AgePlot;

/** Results of an origin's calls that show no fault of the origin. */
const wellAnswered = ["answered", "written", "absent"];

/** All plots, in the order of the page. */
const plots = {
  requests: { draws: "stack", instrument: "phylax_requests", labels: [0] },
  refusals: { draws: "stack", instrument: "phylax_refusals", labels: [0], leadsToRefusals: true },
  gateway: { draws: "waits", instrument: "phylax_wait_seconds", wait: "added" },
  origin: { draws: "waits", instrument: "phylax_wait_seconds", wait: "origin" },
  append: { draws: "waits", instrument: "phylax_wait_seconds", wait: "append" },
  lease: { draws: "waits", instrument: "phylax_wait_seconds", wait: "lease" },
  origins: { draws: "stack", instrument: "phylax_origin_calls", labels: [0, 1], without: wellAnswered },
  copies: { draws: "ages", gauge: "phylax_ledger_behind_seconds" },
  parts: { draws: "ages", gauge: "phylax_part_age_seconds" },
  clients: { draws: "stack", instrument: "phylax_client_outcomes", labels: [0], isOfClients: true },
  quotas: { draws: "quotas", instrument: "phylax_client_outcomes", isOfClients: true },
} as const satisfies Readonly<Record<string, Plot>>;

/** The plots of a client, of its own series alone. */
const clientPlots = {
  outcomes: { draws: "stack", instrument: "phylax_client_outcomes", labels: [2] },
  quotas: plots.quotas,
} as const satisfies Readonly<Record<string, Plot>>;

export const plotsOfClient = Object.entries<Plot>(clientPlots) as readonly (readonly [PlotName, Plot])[]; // its keys

export type PlotName = keyof typeof plots | keyof typeof clientPlots;

/** The plots that a person may see. */
export const plotsFor = (maySeeClients: boolean): readonly (readonly [PlotName, Plot])[] =>
  Object.entries<Plot>(plots)
    .filter(([, plot]) => maySeeClients || plot.isOfClients !== true)
    .map(([name, plot]) => [name as PlotName, plot]); // a key of the table

/** Values over time, a value for each bin; undefined: no value. */
export interface Line {
  /** A label, or a part of the plot: `p50`. */
  readonly name: string;
  readonly values: readonly (number | undefined)[];
  /** The number of the whole range: a count, a percentile, or the highest share. */
  readonly whole: number;
}

export interface Drawing {
  readonly lines: readonly Line[];
  /** A stack adds all counts up, also the counts of the line `other`. */
  readonly whole: number;
}

const linesMax = 6;

/** `quotas` without a value: they could not be read. */
export function drawingOf(
  plot: Plot,
  timeline: Timeline,
  quotas: readonly RequestQuota[] | undefined,
): Drawing {
  switch (plot.draws) {
    case "stack":
      return stackOf(plot, timeline);
    case "waits":
      return waitsOf(plot, timeline);
    case "quotas":
      return quotaUse(plot, timeline, quotas ?? []);
    case "ages":
      return agesIn(plot, timeline);
  }
}

/** The labels of a series of the instrument. */
function labelsIn(series: Series, instrument: string): readonly string[] | undefined {
  const [name, ...labels] = series.split(" ");
  return name === instrument ? labels : undefined;
}

/** True for a number of the client's own. */
export const isOfClient = (series: Series, client: string): boolean =>
  labelsIn(series, clientPlots.outcomes.instrument)?.[0] === client;

/** The numbers of an instrument's series, added up by what `nameOf` makes of their labels. */
function sumsOf(
  counts: Traffic,
  instrument: string,
  nameOf: (labels: readonly string[]) => string | undefined,
): Map<string, number> {
  const sums = new Map<string, number>();
  for (const [series, n] of counts) {
    const labels = labelsIn(series, instrument);
    const name = labels === undefined ? undefined : nameOf(labels);
    if (name !== undefined) sums.set(name, (sums.get(name) ?? 0) + n);
  }
  return sums;
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, n) => total + n, 0);

function stackOf({ instrument, labels, without = [] }: StackPlot, { bins }: Timeline): Drawing {
  const sums = bins.map(({ counts }) =>
    sumsOf(counts, instrument, (of) =>
      of.some((label) => without.includes(label)) ? undefined : labels.map((i) => of[i] ?? "").join(" "),
    ),
  );
  const totals = new Map<string, number>();
  for (const [name, n] of sums.flatMap((each) => [...each])) totals.set(name, (totals.get(name) ?? 0) + n);
  const rest = labels.map(() => otherLabel).join(" ");
  const byTotal = [...totals].filter(([name]) => name !== rest).sort(([, left], [, right]) => right - left);
  const own = byTotal.slice(
    0,
    byTotal.length < totals.size || byTotal.length > linesMax ? linesMax - 1 : linesMax,
  );
  const whole = sum(totals.values());
  const lines = own.map(([name, total]) => ({
    name,
    values: sums.map((each) => each.get(name) ?? 0),
    whole: total,
  }));
  const others = whole - sum(own.map(([, total]) => total));
  const isOwn = new Set(own.map(([name]) => name));
  const valuesOfOthers = sums.map((each) =>
    sum([...each].flatMap(([name, n]) => (isOwn.has(name) ? [] : [n]))),
  );
  return {
    whole,
    lines: others === 0 ? lines : [...lines, { name: otherLabel, values: valuesOfOthers, whole: others }],
  };
}

/** A percentile is the limit of its bucket in milliseconds, so the true percentile is smaller or equal. */
function waitsOf({ instrument, wait }: WaitPlot, { bins }: Timeline): Drawing {
  const buckets = bins.map(({ counts }) =>
    sumsOf(counts, instrument, ([of, part]) => (of === wait && part !== "sum" ? part : undefined)),
  );
  const all = new Map<string, number>();
  for (const [part, n] of buckets.flatMap((each) => [...each])) all.set(part, (all.get(part) ?? 0) + n);
  const lines = ([0.5, 0.95] as const).map((share) => ({
    name: `p${share * 100}`,
    values: buckets.map((each) => percentile(each, share)),
    whole: percentile(all, share) ?? 0,
  }));
  return { lines: all.size === 0 ? [] : lines, whole: sum(all.values()) };
}

/** Infinity: above all limits. Undefined: nothing was measured. */
function percentile(buckets: ReadonlyMap<string, number>, share: number): number | undefined {
  const sorted = [...buckets]
    .map(([limit, n]) => [limit === "above" ? Infinity : Number(limit), n] as const)
    .sort(([left], [right]) => left - right);
  const wanted = sum(buckets.values()) * share;
  let counted = 0;
  return sorted.find(([, n]) => (counted += n) >= wanted)?.[0];
}

/** The lines of the highest ages. */
function agesIn({ gauge }: AgePlot, { bins }: Timeline): Drawing {
  const all = bins.map(({ counts }) => sumsOf(counts, gauge, ([label = ""]) => label));
  const names = new Set(all.flatMap((each) => [...each.keys()]));
  const lines = Array.from(names, (name) => {
    const values = all.map((each) => each.get(name));
    return { name, values, whole: Math.max(...values.map((value) => value ?? 0)) };
  }).sort((left, right) => right.whole - left.whole);
  return { lines: lines.slice(0, linesMax), whole: lines[0]?.whole ?? 0 };
}

/**
 * Compares the requests on record with the request quotas of a client's grants for a purpose, in percent. A window longer
 * than a bin adds its bins up; a shorter window counts by the mean of the bin.
 */
function quotaUse(
  { instrument }: QuotaPlot,
  { bins, binSeconds }: Timeline,
  quotas: readonly RequestQuota[],
): Drawing {
  const grantOf = (client: string, purpose: string) => `${client} ${purpose}`;
  const sums = bins.map(({ counts }) =>
    sumsOf(counts, instrument, ([client = "", purpose = ""]) => grantOf(client, purpose)),
  );
  const grants = Map.groupBy(quotas, ({ client, purpose }) => grantOf(client, purpose));
  const lines = Array.from(grants, ([name, some]) => {
    const length = Math.max(...some.map(({ windowSeconds }) => Math.ceil(windowSeconds / binSeconds)));
    const allowed = requestsASecond(some) * length * binSeconds;
    const values = sums.map((_, i) => {
      const window = sums.slice(Math.max(0, i + 1 - length), i + 1);
      return (100 * sum(window.map((each) => each.get(name) ?? 0))) / allowed;
    });
    return { name, values, whole: Math.max(...values) };
  });
  const used = lines.filter(({ whole }) => whole > 0).sort((left, right) => right.whole - left.whole);
  return { lines: used.slice(0, linesMax), whole: used[0]?.whole ?? 0 };
}
