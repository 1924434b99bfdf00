// Writes deploy/observability from the tables of instruments, gauges and alerts: npm run generate
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gauges } from "#audit/alerts/gauges";
import { type AlertRule, eachRule, type Expression, failures, slow, uncounted } from "#audit/alerts/rules";
import { instruments } from "#audit/traffic/instruments";

const folder = join(import.meta.dirname, "../deploy/observability");

/** An expression with its threshold in PromQL. */
export function promql({ expression, threshold }: Pick<AlertRule, "expression" | "threshold">): string {
  if (expression.kind === "gauge") return `${valueOf(expression)} > ${threshold}`;
  const { windows, least } = expression;
  const parts = windows.map((minutes) => `${burnRate(expression, minutes)} > ${threshold}`);
  return [...parts, `${failed(expression, windows[0])} >= ${least}`].map((part) => `(${part})`).join(" and ");
}

type Burn = Extract<Expression, { kind: "burn" }>;

/** A fault without a record has no reason, and is a failure of the gateway. */
function failed({ failures: name }: Burn, minutes: number): string {
  if (name === "slow")
    return `(${all(name, minutes)} - ${increase(timesAdded("bucket", `,le="${slow.limit / 1_000}"`), minutes)})`;
  const reasons = failures[name].join("|");
  const series =
    name === "gateway"
      ? `{__name__=~"phylax_(refusals|faults)_total",reason=~"${reasons}|"}`
      : `phylax_refusals_total{reason=~"${reasons}"}`;
  return increase(series, minutes);
}

/** What could have failed. */
const all = (name: Burn["failures"], minutes: number): string =>
  increase(
    name === "slow"
      ? timesAdded("count")
      : `{__name__=~"phylax_(outcomes|faults)_total",interaction!="${uncounted}"}`,
    minutes,
  );

const timesAdded = (part: "bucket" | "count", more = ""): string =>
  `phylax_wait_seconds_${part}{wait="${slow.wait}"${more}}`;

const increase = (series: string, minutes: number): string => `sum(increase(${series}[${minutes}m]))`;

function burnRate(expression: Burn, minutes: number): string {
  const budget = Number((1 - expression.objective).toFixed(6)); // 1 - 0.999 is not 0.001
  return `${failed(expression, minutes)} / ${all(expression.failures, minutes)} / ${budget}`;
}

function valueOf(expression: Expression): string {
  if (expression.kind === "burn") return burnRate(expression, expression.windows[0]);
  const { gauge, of, only } = expression;
  const [label] = gauges[gauge].labels;
  return `${of}(${gauge}${only === undefined ? "" : `{${label}=~"${only.join("|")}"}`})`;
}

/** `ledger_behind` is `PhylaxLedgerBehind`. */
export const alertName = (id: string): string =>
  `phylax_${id}`.replaceAll(/(?:^|_)(?<letter>[a-z])/gu, (_all, letter: string) => letter.toUpperCase());

const alerts = [
  ...eachRule.map(([id, rule]) => ({ id, ...rule, expr: promql(rule) })),
  {
    id: "unscraped",
    expr: "absent(phylax_part_age_seconds)",
    minutes: 5,
    severity: "page",
    says: "Prometheus has no numbers of the deployment",
    runbook: "first-look",
  },
].map(({ id, expr, minutes, severity, says, runbook }) => ({
  alert: alertName(id),
  expr,
  for: `${minutes}m`,
  labels: { severity },
  annotations: { summary: `${says}.`, runbook: `docs/runbook.md#${runbook}` },
}));

interface Panel {
  readonly title: string;
  readonly description: string;
  readonly expr: string;
  readonly legend: string;
  readonly unit: string;
  /** A line at this value. */
  readonly threshold?: number;
}

const rateBy = (labels: readonly string[], series: string): string =>
  `sum by (${labels.join(", ")}) (rate(${series}[$__rate_interval]))`;

const panels: readonly Panel[] = [
  ...Object.entries(instruments).map(([name, { type, help, labels }]) => ({
    title: name,
    description: `${help}.`,
    expr:
      type === "histogram"
        ? `histogram_quantile(0.95, ${rateBy([...labels, "le"], `${name}_bucket`)})`
        : rateBy(labels.slice(0, 1), `${name}_total`),
    legend: labels.length === 0 ? "all" : `{{${labels[0]}}}`,
    unit: type === "histogram" ? "s" : "reqps",
  })),
  ...Object.entries(gauges).map(([name, { help, labels }]) => ({
    title: name,
    description: `${help}.`,
    expr: name,
    legend: labels.map((label) => `{{${label}}}`).join(" "),
    unit: name.endsWith("_seconds") ? "s" : "none",
  })),
  {
    title: "phylax_client_quota_used",
    description: "Share of the request quotas that a client uses for a purpose.",
    expr: `${rateBy(["client", "purpose"], "phylax_client_outcomes_total")} / max by (client, purpose) (phylax_client_quota_requests_per_second)`,
    legend: "{{client}} {{purpose}}",
    unit: "percentunit",
  },
  ...eachRule
    .filter(([, { expression }]) => expression.kind === "burn")
    .map(([id, rule]) => ({
      title: alertName(id),
      description: `${rule.says}.`,
      expr: valueOf(rule.expression),
      legend: "times the objective",
      unit: "none",
      threshold: rule.threshold,
    })),
];

const dashboard = {
  title: "Phylax",
  uid: "phylax",
  schemaVersion: 39,
  editable: false,
  refresh: "1m",
  time: { from: "now-24h", to: "now" },
  templating: { list: [{ name: "source", type: "datasource", query: "prometheus" }] },
  panels: panels.map(({ title, description, expr, legend, unit, threshold }, i) => ({
    id: i + 1,
    type: "timeseries",
    title,
    description,
    datasource: { type: "prometheus", uid: "${source}" },
    gridPos: { x: (i % 2) * 12, y: Math.floor(i / 2) * 8, w: 12, h: 8 },
    targets: [{ refId: "A", expr, legendFormat: legend }],
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(threshold !== undefined && {
          custom: { thresholdsStyle: { mode: "line" } },
          thresholds: {
            mode: "absolute",
            steps: [
              { color: "green", value: null },
              { color: "red", value: threshold },
            ],
          },
        }),
      },
      overrides: [],
    },
  })),
};

/** A text in YAML, quoted as the formatter quotes it. */
const quoted = (text: string): string =>
  text.includes('"') ? `'${text.replaceAll("'", "''")}'` : JSON.stringify(text);

/** A rule of Prometheus in YAML. */
const ruleText = ({ alert, expr, for: minutes, labels, annotations }: (typeof alerts)[number]): string =>
  `      - alert: ${alert}
        expr: ${quoted(expr)}
        for: ${minutes}
        labels: { severity: ${labels.severity} }
        annotations:
          summary: ${quoted(annotations.summary)}
          runbook: ${quoted(annotations.runbook)}
`;

/** The files of deploy/observability, by name. */
export const observability: Readonly<Record<string, string>> = {
  "prometheus-rules.yml": `# Made by scripts/observability.ts from src/audit/alerts/rules.ts. Do not edit.
groups:
  - name: phylax
    interval: 1m
    rules:
${alerts.map(ruleText).join("")}`,
  "grafana-dashboard.json": `${JSON.stringify(dashboard, null, 2)}\n`,
};

export const storedObservability = (name: string): string => readFileSync(join(folder, name), "utf8");

if (import.meta.main) {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(observability)) writeFileSync(join(folder, name), text);
}
