/** A number that rises and falls: what it is, and its labels. Ids of ours and words of closed lists only. */
interface Gauge {
  readonly help: string;
  readonly labels: readonly string[];
  /** True: an age in seconds, whose highest value in each minute and hour is kept for plots. */
  readonly isAge?: true;
}

/** The gauges of `/metrics`: as the watch last read them (`AlertBook`), and the quotas as the registry has them. */
export const gauges = {
  phylax_ledger_behind_seconds: {
    help: "Age of the oldest record without a copy in R2, in seconds; 0: all records have a copy",
    labels: ["log"],
    isAge: true,
  },
  phylax_ledger_logs: {
    help: "Logs by their state",
    labels: ["state"],
  },
  phylax_ledger_witnesses_behind: {
    help: "Witnesses whose cosignature does not cover the whole root log",
    labels: [],
  },
  phylax_part_age_seconds: {
    help: "Seconds since the part last answered the watch",
    labels: ["part"],
    isAge: true,
  },
  phylax_alerts_dead_letters: {
    help: "Messages about alerts that were given up",
    labels: [],
  },
  phylax_client_quota_requests_per_second: {
    help: "Request quotas of a client's grants for a purpose; of clients that a number names",
    labels: ["client", "purpose"],
  },
} as const satisfies Readonly<Record<string, Gauge>>;
export type GaugeName = keyof typeof gauges;

/** The ages of a gauge that a look keeps, the highest: a deployment may have hundreds of logs. */
const agesMax = 16;
/** The ages that a minute or an hour keeps, the highest. */
export const agesKept = 64;

/** The ages of a look that are kept, by series: the gauge and its label. */
export function agesOf(readings: readonly GaugeReading[]): readonly (readonly [string, number])[] {
  return Array.from(
    Map.groupBy(readings, ({ gauge }) => gauge),
    ([name, some]) => {
      const gauge: Gauge = gauges[name];
      const kept = gauge.isAge === true ? some.toSorted((left, right) => right.value - left.value) : [];
      return kept
        .slice(0, agesMax)
        .map(({ labels, value }) => [[name, ...labels].join(" "), Math.ceil(value)] as const);
    },
  ).flat();
}

/** The parts that the watch asks. Each answer is the age of that part's facts. */
export const watchedParts = ["traffic", "ledger", "revocations"] as const;
export type WatchedPart = (typeof watchedParts)[number];

/** A value of a gauge, with the values of its labels in order. */
export interface GaugeReading {
  readonly gauge: GaugeName;
  readonly labels: readonly string[];
  readonly value: number;
}

/** The text form and OpenMetrics write a gauge in the same way. Stands before the counters, which end the text. */
export function gaugesText(readings: readonly GaugeReading[]): string {
  const byName = Map.groupBy(readings, ({ gauge }) => gauge);
  return Array.from(byName, ([name, values]) => {
    const { help, labels } = gauges[name];
    const samples = values.map(({ labels: own, value }) => {
      const pairs = labels.map((label, i) => `${label}="${own[i] ?? ""}"`);
      return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
    });
    return `# HELP ${name} ${help}.\n# TYPE ${name} gauge\n${samples.sort().join("")}`;
  }).join("");
}
