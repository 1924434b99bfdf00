import { setTimeout as wait } from "node:timers/promises";
import type { Receipt } from "#ledger/receipt";
import { parseReceipt } from "#ledger/read-receipt";
import type { LogRestored } from "#ledger/restore";
import { printRefusal } from "../approvals/submit-change.ts";
import { type OperatorAnswer, postAsOperator, posterOf, posterOptions } from "../connection/operator-post.ts";
import { Misuse } from "../misuse.ts";
import { giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";
import { readCall } from "../read-call.ts";

// An act is recorded in one of several logs, and a lost log may be among them. While no log takes records the first
// call restores and answers 503.
const triesMax = 8;
const pauseMilliseconds = 500;

/**
 * Restores a log of the ledger whose storage was lost, or each lost log: rebuilds it from its copy in R2 and
 * gives its records to the log that stands in for it. Prints the range of the lost leaves, from the root log
 * and the given receipts. Returns 0 when the logs are restored, 2 when that is refused.
 */
export async function restoreLedger(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    ...posterOptions,
    receipt: { type: "string", multiple: true, default: [] as string[] },
  });
  const [log, ...more] = positionals;
  if (more.length > 0) throw new Misuse("name one log, like s0-2026h2, or none for each lost log");
  const receipts = values.receipt.map(receiptOf);
  const from = posterOf(values);
  const step = () => postAsOperator(from, "api/ledger/restore", JSON.stringify({ log }));
  let answer = await patiently(step);
  const seen = new Map<string, LogRestored>();
  for (;;) {
    if (answer.status !== 200) {
      return printRefusal(answer);
    }
    const logs = logsOf(answer);
    for (const restored of logs) seen.set(restored.log, restored);
    if (logs.every(({ isDone }) => isDone)) break;
    answer = await patiently(step);
  }
  const logs = Array.from(seen.values(), ({ log: name, standIn, leaves, rooted }) => {
    const missing = missingRange({ log: name, leaves, rooted }, receipts);
    return { log: name, standIn, leaves, rooted, missing };
  });
  giveResult({ logs });
  for (const restored of logs) for (const line of linesOf(restored)) say(printable(line));
  if (logs.length === 0) say("no log is lost");
  return 0;
}

/** The restored logs of an answer: our API's own form. */
const logsOf = ({ body }: OperatorAnswer): readonly LogRestored[] => body["logs"] as readonly LogRestored[];

function linesOf({
  log,
  leaves,
  standIn,
  missing,
}: Omit<LogRestored, "isDone"> & { readonly missing: ReturnType<typeof missingRange> }): readonly string[] {
  const lost =
    missing === null
      ? `${log}: the root log and the given receipts know no further leaf`
      : `${log}: leaves ${missing.first} to ${missing.last} are missing`;
  const next = standIn === null ? [] : [`${standIn}: takes the further records of ${log}`];
  return [`${log}: rebuilt from its copy: ${leaves} leaves`, lost, ...next];
}

/** The leaves that the root log or a receipt knows and that are not rebuilt; null for none. */
function missingRange(
  { log, leaves, rooted }: Pick<LogRestored, "log" | "leaves" | "rooted">,
  receipts: readonly Receipt[],
) {
  const sizes = receipts.filter((receipt) => receipt.log === log).map(({ index }) => index + 1);
  const known = Math.max(rooted, ...sizes);
  return known > leaves ? { first: leaves, last: known - 1 } : null;
}

async function patiently(step: () => Promise<OperatorAnswer>): Promise<OperatorAnswer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await step();
    if (answer.status < 500 || attempt === triesMax) return answer;
    await wait(pauseMilliseconds);
  }
}

function receiptOf(text: string): Receipt {
  const receipt = parseReceipt(text.replace(/^phylax-receipt:/iu, "").trim());
  if (!receipt.ok) throw new Misuse(`not a receipt: ${text}`);
  return receipt.value;
}
