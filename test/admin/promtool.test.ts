import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { metricsText } from "#audit/traffic/exposition";
import { instrumentOf, instruments, isInstrument, seriesOf, type Traffic } from "#audit/traffic/instruments";
import { waitParts } from "#audit/traffic/isolate-labels";
import { withoutPrometheus } from "../support/prometheus.ts";

/** Two series of each instrument, a histogram with all its parts. */
const totals: Traffic = new Map(
  Object.keys(instruments)
    .filter(isInstrument)
    .flatMap((name) => {
      const { labels, type, values } = instrumentOf(name);
      const ends = type === "histogram" ? waitParts.map((part) => [part]) : [[]];
      return [0, 1].flatMap((i) =>
        ends.map((end) => {
          const chosen = labels.map((label, at) => values?.[at]?.[i] ?? `${label}-${i}`);
          return [seriesOf(name, [...chosen, ...end]), i + 1] as const;
        }),
      );
    }),
);

const promtool = (text: string) => {
  const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
    input: text,
    encoding: "utf8",
  });
  return { status, said: `${stdout}${stderr}` };
};

test("promtool has nothing to say against the metrics", async ({ skip }) => {
  if (withoutPrometheus !== false) skip(withoutPrometheus);
  expect(promtool(metricsText(totals, "prometheus"))).toEqual({ status: 0, said: "" });
  expect(promtool(metricsText(new Map(), "prometheus"))).toEqual({ status: 0, said: "" });
  const broken = metricsText(totals, "prometheus").replace("_requests_total{", "_requests_total{{");
  expect(promtool(broken).status, "a broken text").not.toBe(0);
});
