import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, test } from "vitest";
import type { GaugeName, GaugeReading } from "#audit/alerts/gauges";
import { countedOf, stepAlert, type AlertTotals, type AlertStanding, valueOf } from "#audit/alerts/judge";
import { type AlertId, alertRules, eachRule, failures } from "#audit/alerts/rules";
import { metricsText } from "#audit/traffic/exposition";
import { seriesOf } from "#audit/traffic/instruments";
import { instant } from "#kernel/clock";
import { alertName } from "../../scripts/observability.ts";

const rules = join(import.meta.dirname, "../../deploy/observability/prometheus-rules.yml");
const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;
const folder = mkdtempSync(join(tmpdir(), "phylax-promtool-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A stretch of minutes: requests a minute, of them failures, and gauges. */
interface Stretch {
  readonly minutes: number;
  readonly requests: number;
  readonly failed?: Readonly<Record<string, number>>;
  /** Besides the requests. */
  readonly faults?: number;
  /** Requests to which the gateway adds a second; it adds 20 ms to the others. */
  readonly slow?: number;
  readonly gauges?: Partial<Record<GaugeName, number>>;
}
const well: Stretch = { minutes: 90, requests: 100 };

/** The labels that a test gives to each gauge. */
const labelled = {
  phylax_ledger_behind_seconds: "s0-2026h2",
  phylax_ledger_logs: "refusing",
  phylax_ledger_witnesses_behind: undefined,
  phylax_part_age_seconds: "revocations",
  phylax_alerts_dead_letters: undefined,
} as const satisfies Partial<Record<GaugeName, string | undefined>>;
const gaugeNames = Object.keys(labelled) as (keyof typeof labelled)[]; // the keys of the table
const labelOf = {
  phylax_ledger_behind_seconds: "log",
  phylax_ledger_logs: "state",
  phylax_part_age_seconds: "part",
};

const scenarios: Readonly<Record<string, readonly Stretch[]>> = {
  "all is well": [well],
  "one failure in the night": [well, { minutes: 1, requests: 1, failed: { fault: 1 } }, well],
  "the gateway fails for half an hour, then not": [
    well,
    { minutes: 30, requests: 100, failed: { fault: 20, consents_unavailable: 5 } },
    well,
  ],
  "the gateway fails for hours, seldom": [
    { ...well, minutes: 400 },
    { minutes: 300, requests: 100, failed: { fault: 1 } },
  ],
  "one request in 400 fails for hours": [
    { ...well, minutes: 20 },
    { minutes: 500, requests: 800, failed: { fault: 2 } },
  ],
  "the gateway answers 503 without a record": [well, { minutes: 30, requests: 100, faults: 20 }, well],
  "an origin is down": [well, { minutes: 40, requests: 50, failed: { origin_unreachable: 25 } }, well],
  "an origin is late": [well, { minutes: 40, requests: 100, failed: { origin_timed_out: 12 } }, well],
  "the gateway adds much time to one of ten requests": [well, { minutes: 40, requests: 100, slow: 10 }, well],
  "the gateway adds much time to one of thirty requests": [well, { minutes: 60, requests: 90, slow: 3 }],
  "R2 is down, a log stops, a witness is away": [
    well,
    { minutes: 3, requests: 100, gauges: { phylax_ledger_behind_seconds: 150 } },
    {
      minutes: 20,
      requests: 100,
      gauges: {
        phylax_ledger_behind_seconds: 1_900,
        phylax_ledger_logs: 1,
        phylax_ledger_witnesses_behind: 1,
      },
    },
    well,
  ],
  "the denials cannot be read, and messages are given up": [
    well,
    { minutes: 10, requests: 100, gauges: { phylax_part_age_seconds: 200, phylax_alerts_dead_letters: 2 } },
    well,
  ],
};

const quiet = [
  "all is well",
  "one failure in the night",
  "the gateway adds much time to one of thirty requests",
];

interface Minute {
  readonly totals: ReadonlyMap<string, number>;
  readonly readings: readonly GaugeReading[];
}

function minutesOf(stretches: readonly Stretch[]): readonly Minute[] {
  const reasons = [...failures.gateway, ...failures.origin];
  const totals = new Map<string, number>(reasons.map((reason) => [seriesOf("phylax_refusals", [reason]), 0]));
  const add = (series: string, n: number) => void totals.set(series, (totals.get(series) ?? 0) + n);
  return stretches.flatMap(({ minutes, requests, failed = {}, faults = 0, slow = 0, gauges = {} }) =>
    Array.from({ length: minutes }, () => {
      add(seriesOf("phylax_outcomes", ["read", "disclosed"]), requests);
      add("phylax_faults", faults);
      add(seriesOf("phylax_wait_seconds", ["added", "20"]), requests - slow);
      add(seriesOf("phylax_wait_seconds", ["added", "1000"]), slow);
      for (const [reason, n] of Object.entries(failed)) add(seriesOf("phylax_refusals", [reason]), n);
      const readings = gaugeNames.map((gauge) => ({
        gauge,
        labels: [labelled[gauge] ?? []].flat(),
        value: gauges[gauge] ?? 0,
      }));
      return { totals: new Map(totals), readings };
    }),
  );
}

/** The alerts that the watch has firing at each minute. */
function firingByWatch(minutes: readonly Minute[]): readonly (readonly AlertId[])[] {
  const standings = new Map<AlertId, AlertStanding>();
  const counted: AlertTotals[] = [];
  return minutes.map(({ totals, readings }, i) => {
    const at = instant(i * 60_000);
    counted.push(countedOf(totals, at));
    for (const [id, rule] of eachRule) {
      const value = valueOf(rule, { counted, readings });
      standings.set(id, stepAlert(rule, standings.get(id) ?? { state: "quiet" }, value, at));
    }
    return eachRule.flatMap(([id]) => (standings.get(id)?.state === "firing" ? [id] : []));
  });
}

/** The values of each minute by series, as a scraper reads them. */
const scraped = (minutes: readonly Minute[]) =>
  Map.groupBy(
    minutes.flatMap(({ totals }) =>
      metricsText(totals, "prometheus")
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => ({
          series: line.slice(0, line.lastIndexOf(" ")),
          value: line.slice(line.lastIndexOf(" ") + 1),
        })),
    ),
    ({ series }) => series,
  );

/** What `promtool test rules` reads: the minutes as series, and the alerts that must fire. */
function promtoolTest(minutes: readonly Minute[], firing: readonly (readonly AlertId[])[], every: number) {
  const looks = Array.from(minutes.keys()).filter((i) => i % every === 0);
  return {
    interval: "1m",
    input_series: [
      ...Array.from(scraped(minutes), ([series, samples]) => ({
        series,
        values: samples.map(({ value }) => value).join(" "),
      })),
      ...gaugeNames.map((gauge, g) => ({
        series:
          labelled[gauge] === undefined
            ? gauge
            : `${gauge}{${labelOf[gauge as keyof typeof labelOf]}="${labelled[gauge]}"}`,
        values: minutes.map(({ readings }) => readings[g]?.value ?? 0).join(" "),
      })),
    ],
    alert_rule_test: looks.flatMap((i) =>
      eachRule.map(([id, { says, runbook, severity }]) => ({
        eval_time: `${i}m`,
        alertname: alertName(id),
        exp_alerts:
          firing[i]?.includes(id) === true
            ? [
                {
                  exp_labels: { severity },
                  exp_annotations: { summary: `${says}.`, runbook: `docs/runbook.md#${runbook}` },
                },
              ]
            : [],
      })),
    ),
  };
}

function promtool(...tests: readonly object[]) {
  const file = join(folder, "test.yml");
  writeFileSync(
    file,
    JSON.stringify({ rule_files: [rules], evaluation_interval: "1m", tests }), // YAML reads JSON
  );
  const { status, stdout, stderr } = spawnSync("promtool", ["test", "rules", file], { encoding: "utf8" });
  return { status, said: (stdout + stderr).slice(0, 3_000) };
}

test("each rule fires in a scenario, and none while all is well", ({ expect }) => {
  const firing = Object.entries(scenarios).map(([name, stretches]) => {
    const ids = firingByWatch(minutesOf(stretches)).flat();
    if (quiet.includes(name)) expect(ids, name).toEqual([]);
    return ids;
  });
  const never = Object.keys(alertRules).filter((id) => !firing.flat().includes(id as AlertId));
  expect(never).toEqual(["numbers_old"]); // `revocations_old` is the same expression for another part
});

describe.skipIf(!hasPromtool)("the rules for Prometheus (skipped without promtool)", () => {
  test("promtool finds the generated rules well formed", ({ expect }) => {
    const { status, stderr } = spawnSync("promtool", ["check", "rules", rules], { encoding: "utf8" });
    expect(status, stderr).toBe(0);
  });

  test.for(Object.entries(scenarios))(
    "Prometheus and the watch have the same alerts firing: %s",
    ([, stretches], { expect }) => {
      const minutes = minutesOf(stretches);
      const firing = firingByWatch(minutes);
      const { status, said } = promtool(promtoolTest(minutes, firing, 1));
      expect(status, said).toBe(0);
    },
  );

  test("promtool refuses an alert that does not fire", ({ expect }) => {
    const minutes = minutesOf([well]);
    const wrong = minutes.map((): readonly AlertId[] => ["ledger_behind"]);
    expect(promtool(promtoolTest(minutes, wrong, 30)).status).not.toBe(0);
  });
});
