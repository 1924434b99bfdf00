import type { Wait, waitLimits } from "#audit/traffic/isolate-labels";
import type { GaugeName } from "./gauges.ts";

/**
 * A rule: the service is not well if the value of the expression stays over the threshold for some minutes. The watch
 * judges the rules by src/audit/alerts/judge.ts; `npm run generate` writes the same rules for Prometheus.
 */
export interface AlertRule {
  readonly expression: Expression;
  readonly threshold: number;
  /** The value stays over the threshold for so many minutes before the alert fires. */
  readonly minutes: number;
  /** `page`: a person looks at once. `ticket`: on the next working day. */
  readonly severity: "page" | "ticket";
  /** The fault in one sentence, without a name of the deployment. */
  readonly says: string;
  /** The section of docs/runbook.md. */
  readonly runbook: string;
}

/**
 * `burn`: how many times faster than the objective allows the failures come, in the long and in the short window; the
 * lower of both counts, so that an alert ends soon after the failures (Google, The Site Reliability Workbook, ch. 5).
 * `gauge`: the sum or the largest of the readings of a gauge whose first label is in `only`.
 */
export type Expression =
  | {
      readonly kind: "burn";
      readonly failures: FailureName | "slow";
      /** The share of requests that may not fail. */
      readonly objective: number;
      /** The long and the short window, in minutes. */
      readonly windows: readonly [number, number];
      /** Fewer failures in the long window are no alert: one failure at night is no outage. */
      readonly least: number;
    }
  | {
      readonly kind: "gauge";
      readonly gauge: GaugeName;
      readonly of: "sum" | "max";
      readonly only?: readonly string[];
    };

/**
 * The reasons on record that count as failures of the gateway or of an origin. A test compares the lists with the table
 * of refusals: each reason that is answered 5xx is in one list or is the request's own doing.
 */
export const failures = {
  gateway: ["case_not_opened", "consent_not_filed", "consents_unavailable", "fault", "review_unavailable"],
  origin: [
    "answer_duplicate_key",
    "answer_link_loops",
    "answer_link_outside_origin",
    "answer_mismatch",
    "answer_not_a_searchset",
    "answer_not_json",
    "answer_not_utf8",
    "answer_too_deep",
    "origin_busy",
    "origin_circuit_open",
    "origin_refused",
    "origin_timed_out",
    "origin_unavailable",
    "origin_unreachable",
    "row_not_read_again",
    "transaction_incomplete",
    "write_answer_unfit",
    "write_outcome_unknown",
  ],
  late: ["origin_timed_out"],
} as const satisfies Readonly<Record<string, readonly string[]>>;
export type FailureName = keyof typeof failures;

/** The time that counts as slow: the limit is one of the histogram's, in milliseconds. */
export const slow = { wait: "added", limit: 500 } as const satisfies {
  readonly wait: Wait;
  readonly limit: (typeof waitLimits)[number];
};

/** The operators' own calls, scrapes among them, are no requests of clients. */
export const uncounted = "administration";

const burn = (
  failing: FailureName | "slow",
  objective: number,
  windows: readonly [number, number],
  least = 5,
): Expression => ({ kind: "burn", failures: failing, objective, windows, least });

/** `times`: how many times faster than the objective allows. `number`: of logs, witnesses or messages. */
export type AlertUnit = "times" | "seconds" | "number";

/** The unit of a rule's value and threshold: a gauge of seconds has the unit in its name. */
export function alertUnitOf({ expression }: Pick<AlertRule, "expression">): AlertUnit {
  if (expression.kind === "burn") return "times";
  return expression.gauge.endsWith("_seconds") ? "seconds" : "number";
}

/** All rules, by the id that messages and silences name. */
export const alertRules = {
  gateway_failing: {
    expression: burn("gateway", 0.999, [60, 5]),
    threshold: 14.4,
    minutes: 2,
    severity: "page",
    says: "The gateway fails so often that it spends the errors of a month in two days",
    runbook: "fault",
  },
  gateway_failing_slowly: {
    expression: burn("gateway", 0.999, [360, 30]),
    threshold: 6,
    minutes: 15,
    severity: "page",
    says: "The gateway fails so often that it spends the errors of a month in five days",
    runbook: "fault",
  },
  gateway_over_budget: {
    expression: burn("gateway", 0.999, [4_320, 360], 20),
    threshold: 1,
    minutes: 60,
    severity: "ticket",
    says: "The gateway has failed more often in three days than one request in a thousand",
    runbook: "fault",
  },
  origin_failing: {
    expression: burn("origin", 0.995, [60, 5]),
    threshold: 14.4,
    minutes: 2,
    severity: "page",
    says: "Origins fail for over seven of a hundred requests",
    runbook: "an-origin-is-down",
  },
  origin_failing_slowly: {
    expression: burn("origin", 0.995, [360, 30]),
    threshold: 6,
    minutes: 15,
    severity: "ticket",
    says: "Origins have failed for hours for over three of a hundred requests",
    runbook: "an-origin-is-down",
  },
  origin_late: {
    expression: burn("late", 0.99, [60, 5]),
    threshold: 5,
    minutes: 5,
    severity: "page",
    says: "Origins answer over five of a hundred requests after their ten seconds",
    runbook: "an-origin-is-down",
  },
  gateway_slow: {
    // over one of twenty above the limit: the p95 is above it
    expression: burn("slow", 0.95, [60, 5], 20),
    threshold: 1,
    minutes: 10,
    severity: "ticket",
    says: `The p95 of the time that the gateway adds to requests is over ${slow.limit} ms`,
    runbook: "the-gateway-is-slow",
  },
  ledger_behind: {
    expression: { kind: "gauge", gauge: "phylax_ledger_behind_seconds", of: "max" },
    threshold: 120,
    minutes: 2,
    severity: "page",
    says: "A log has records without a copy in R2 for minutes, and takes no records after thirty",
    runbook: "r2-is-down",
  },
  ledger_stopped: {
    expression: {
      kind: "gauge",
      gauge: "phylax_ledger_logs",
      of: "sum",
      only: ["refusing", "silent"],
    },
    threshold: 0,
    minutes: 2,
    severity: "page",
    says: "A log takes no records or does not answer",
    runbook: "a-shard-does-not-answer",
  },
  witness_behind: {
    expression: { kind: "gauge", gauge: "phylax_ledger_witnesses_behind", of: "max" },
    threshold: 0,
    minutes: 15,
    severity: "ticket",
    says: "A witness does not cosign the root log",
    runbook: "ledger_witness_failed",
  },
  revocations_old: {
    expression: { kind: "gauge", gauge: "phylax_part_age_seconds", of: "max", only: ["revocations"] },
    threshold: 90,
    minutes: 1,
    severity: "page",
    says: "The denials cannot be read, so leases end and requests are refused",
    runbook: "the-denials-cannot-be-read",
  },
  numbers_old: {
    expression: { kind: "gauge", gauge: "phylax_part_age_seconds", of: "max", only: ["ledger", "traffic"] },
    threshold: 300,
    minutes: 1,
    severity: "page",
    says: "The numbers of the ledger cannot be read, so other alerts are blind",
    runbook: "traffic_hand_over_failed",
  },
  messages_given_up: {
    expression: { kind: "gauge", gauge: "phylax_alerts_dead_letters", of: "max" },
    threshold: 0,
    minutes: 1,
    severity: "ticket",
    says: "A message about an alert was given up after its retries",
    runbook: "alert_given_up",
  },
} as const satisfies Readonly<Record<string, AlertRule>>;
export type AlertId = keyof typeof alertRules;

export const isAlertId = (id: string): id is AlertId => Object.hasOwn(alertRules, id);

/** Each rule with its id. */
export const eachRule: readonly (readonly [AlertId, AlertRule])[] = Object.entries(alertRules).map(
  ([id, rule]) => [id as AlertId, rule], // a key of the table
);

/** The windows of all rules, in minutes. */
export const alertWindows: readonly number[] = Array.from(
  new Set(eachRule.flatMap(([, { expression }]) => (expression.kind === "burn" ? expression.windows : []))),
).toSorted((left, right) => right - left);
