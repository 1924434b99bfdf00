import * as z from "zod";
import { getAsOperator, posterOf, posterOptions, refusedBy } from "../connection/operator-post.ts";
import { Misuse } from "../misuse.ts";
import { giveResult, say, sayRows } from "../output.ts";
import { readCall } from "../read-call.ts";

const report = z.object({
  alerts: z.array(
    z.object({
      alert: z.string(),
      state: z.string(),
      since: z.string().nullable(),
      severity: z.string(),
      says: z.string(),
      runbook: z.string(),
      value: z.number().nullable(),
      threshold: z.number(),
      unit: z.string(),
      silenced: z.boolean(),
    }),
  ),
  silences: z.array(
    z.object({
      id: z.string(),
      alerts: z.array(z.string()),
      from: z.string(),
      until: z.string(),
      reason: z.string(),
      operator: z.string(),
    }),
  ),
  waiting: z.number(),
  deadLetters: z.array(
    z.looseObject({
      alert: z.string(),
      state: z.string(),
      at: z.string(),
      failed: z.union([z.string(), z.number()]).nullable(),
    }),
  ),
  key: z.looseObject({}),
});

/** Lists the alerts, the silences and the dead letters. Returns 0. */
export async function alertList(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, posterOptions);
  if (positionals.length > 0) throw new Misuse();
  const reply = await getAsOperator(posterOf(values), "api/alerts");
  if (reply.status !== 200) throw refusedBy(reply);
  const found = report.parse(reply.body);
  giveResult(found);
  const rows = found.alerts.map((each) => {
    const { alert, state, since, severity, says, runbook, value, threshold, unit, silenced } = each;
    const shown = silenced ? `${state}, silenced` : state;
    const measured = `${value ?? "unknown"} of ${threshold} ${unit}`;
    const where = `docs/runbook.md#${runbook}`;
    return {
      cells: [alert, shown, since ?? "", measured, severity, says, where],
      line: `${alert} ${shown} ${since ?? ""} ${measured} ${severity}  ${says}  ${where}`,
    };
  });
  sayRows(["alert", "state", "since", "measured", "severity", "says", "runbook"], rows);
  for (const { id, alerts, from, until, reason, operator } of found.silences)
    say(`silence ${id}: ${alerts.join(", ")} from ${from} to ${until}, by ${operator}: ${reason}`);
  for (const { alert, state, at, failed } of found.deadLetters)
    say(`given up: ${alert} ${state} at ${at}: ${failed ?? "unknown"}`);
  if (found.waiting > 0) say(`${found.waiting} messages wait for their receiver`);
  return 0;
}
