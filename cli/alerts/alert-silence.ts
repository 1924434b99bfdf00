import { postAsOperator, posterOf, posterOptions, refusedBy } from "../connection/operator-post.ts";
import { Misuse } from "../misuse.ts";
import { giveResult, say } from "../output.ts";
import { readCall, readNamedCall } from "../read-call.ts";

const text = { type: "string" } as const;

/** Silences alerts for a time. Returns 0. */
export async function alertSilence(args: readonly string[]): Promise<number> {
  const { values, positionals: alerts } = readCall(args, {
    ...posterOptions,
    from: text,
    until: text,
    reason: text,
  });
  const { from, until, reason } = values;
  if (alerts.length === 0 || until === undefined || reason === undefined) throw new Misuse();
  const document = JSON.stringify({ alerts, from, until, reason });
  const reply = await postAsOperator(posterOf(values), "api/alerts/silence", document);
  if (reply.status !== 200) throw refusedBy(reply);
  const silence = String(reply.body["silence"]);
  giveResult({ silence });
  say(`silenced: ${silence}`);
  return 0;
}

/** Ends a silence. Returns 0. */
export async function alertUnsilence(args: readonly string[]): Promise<number> {
  const { values, name: silence } = readNamedCall(args, { ...posterOptions, reason: text });
  const { reason } = values;
  if (reason === undefined) throw new Misuse();
  const document = JSON.stringify({ silence, reason });
  const reply = await postAsOperator(posterOf(values), "api/alerts/unsilence", document);
  if (reply.status !== 200) throw refusedBy(reply);
  giveResult({ ended: silence });
  say("ended: messages are sent again");
  return 0;
}
