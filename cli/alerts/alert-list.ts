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
  deadLetters: z.array(z.looseObject({ alert: z.string(), state: z.string(), at: z.string() })),
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
  const rows = found.alerts.map(({ alert, state, since, severity, says, runbook, silenced }) => {
    const shown = silenced ? `${state}, silenced` : state;
    const where = `docs/runbook.md#${runbook}`;
    return {
      cells: [alert, shown, since ?? "", severity, says, where],
      line: `${alert} ${shown} ${since ?? ""} ${severity}  ${says}  ${where}`,
    };
  });
  sayRows(["alert", "state", "since", "severity", "says", "runbook"], rows);
  for (const { id, alerts, from, until, reason, operator } of found.silences)
    say(`silence ${id}: ${alerts.join(", ")} from ${from} to ${until}, by ${operator}: ${reason}`);
  for (const { alert, state, at } of found.deadLetters) say(`given up: ${alert} ${state} at ${at}`);
  if (found.waiting > 0) say(`${found.waiting} messages wait for their receiver`);
  return 0;
}
