import * as z from "zod";
import { type GaugeReading, gaugesText } from "#audit/alerts/gauges";
import { metricsForm, metricsText, metricsTypes } from "#audit/traffic/exposition";
import { readSeries, type Traffic } from "#audit/traffic/instruments";
import { ok } from "#kernel/result";
import { type RequestQuota, requestsASecond } from "#limits/request-quota";
import { Text, type Verb } from "./administer.ts";
import { registryReaders } from "./change-registry.ts";
import type { AdminPorts } from "./ports.ts";

/** The numbers of requests for a scraper. */
export const metricsVerb = ({
  traffic,
  gauges,
  quotas,
}: Pick<AdminPorts, "traffic" | "gauges" | "quotas">): Verb => ({
  interaction: "metrics",
  does: "The numbers of requests and refusals for a scraper: Prometheus text, or OpenMetrics by Accept.",
  answer: z.string(),
  answerType: metricsTypes.prometheus,
  method: "GET",
  path: "metrics",
  roles: registryReaders,
  changes: "nothing",
  async act({ accept }) {
    const form = metricsForm(accept);
    // a registry that does not answer is a moment for numbers, so they come without the quotas
    const allowed = quotas().catch(() => []);
    const [totals, readings, registered] = await Promise.all([traffic(), gauges(), allowed]);
    const all = readings.concat(quotaReadings(registered, totals));
    return ok({ answer: new Text(metricsTypes[form], gaugesText(all) + metricsText(totals, form)) });
  },
});

/** The quotas beside the ends of requests that they limit: only clients that the totals name, so at most 200. */
function quotaReadings(quotas: readonly RequestQuota[], totals: Traffic): readonly GaugeReading[] {
  const named = new Set(
    Array.from(totals.keys(), readSeries).flatMap((read) =>
      read?.instrument === "phylax_client_outcomes" ? [read.labels.slice(0, 2).join(" ")] : [],
    ),
  );
  const grants = Map.groupBy(quotas, ({ client, purpose }) => `${client} ${purpose}`);
  return Array.from(grants).flatMap(([name, some]) =>
    named.has(name)
      ? [
          {
            gauge: "phylax_client_quota_requests_per_second" as const,
            labels: name.split(" "),
            value: requestsASecond(some),
          },
        ]
      : [],
  );
}
