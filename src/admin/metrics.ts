import * as z from "zod";
import { gaugesText } from "#audit/alerts/gauges";
import { metricsForm, metricsText, metricsTypes } from "#audit/traffic/exposition";
import { ok } from "#kernel/result";
import { Text, type Verb } from "./administer.ts";
import { registryReaders } from "./change-registry.ts";
import type { AdminPorts } from "./ports.ts";

/** The numbers of requests for a scraper. */
export const metricsVerb = ({ traffic, gauges }: Pick<AdminPorts, "traffic" | "gauges">): Verb => ({
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
    const [totals, readings] = await Promise.all([traffic(), gauges()]);
    return ok({ answer: new Text(metricsTypes[form], gaugesText(readings) + metricsText(totals, form)) });
  },
});
