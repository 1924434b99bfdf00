import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { parseReceipt } from "#ledger/receipt";
import {
  type OperatorAnswer,
  postAsOperator,
  posterOf,
  posterOptions,
  refusalLine,
} from "../connection/operator-post.ts";
import { Misuse, printFault } from "../misuse.ts";
import { complain, giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";

const triesMax = 5; // an act is recorded in one of several logs, and the lost log may be among them
const pauseMilliseconds = 500;

/**
 * Restores a log of the ledger whose storage was lost: rebuilds it from its copy in R2 and gives its records to the
 * log that stands in for it. Prints the range of the lost leaves, from the root log and the given receipts. Returns
 * 0 when the log is restored, 2 when that is refused.
 */
export async function restoreLedger(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...posterOptions,
        receipt: { type: "string", multiple: true, default: [] as string[] },
      },
    });
    const [log, ...more] = positionals;
    if (log === undefined || more.length > 0) throw new Misuse("name the log, like s0-2026h2");
    const receipts = values.receipt.map((text) => leafOf(text, log));
    const from = posterOf(values);
    const step = () => postAsOperator(from, "api/ledger/restore", JSON.stringify({ log }));
    let answer = await patiently(step);
    while (answer.status === 200 && answer.body["isDone"] !== true) answer = await patiently(step);
    if (answer.status !== 200) {
      complain(printable(refusalLine(answer)));
      return answer.status < 500 ? 2 : 1;
    }
    const { standIn, leaves, rooted } = answer.body as {
      readonly standIn: string | null;
      readonly leaves: number;
      readonly rooted: number;
    }; // our API's own form
    const missing = missingRange(leaves, [rooted, ...receipts.map((index) => index + 1)]);
    giveResult({ log, standIn, leaves, rooted, missing });
    say(printable(`${log}: rebuilt from its copy: ${leaves} leaves`));
    say(
      missing === null
        ? `${log}: the root log and the given receipts know no further leaf`
        : `${log}: leaves ${missing.first} to ${missing.last} are missing`,
    );
    if (standIn !== null) say(printable(`${standIn}: takes the further records of ${log}`));
    return 0;
  } catch (fault) {
    return printFault(fault);
  }
}

/** The leaves that are known and not rebuilt. `sizes`: of the log, as each source knows it. */
function missingRange(leaves: number, sizes: readonly number[]) {
  const known = Math.max(...sizes);
  return known > leaves ? { first: leaves, last: known - 1 } : null;
}

async function patiently(step: () => Promise<OperatorAnswer>): Promise<OperatorAnswer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await step();
    if (answer.status < 500 || attempt === triesMax) return answer;
    await wait(pauseMilliseconds);
  }
}

function leafOf(text: string, log: string): number {
  const receipt = parseReceipt(text.replace(/^phylax-receipt:/iu, "").trim());
  if (!receipt.ok) throw new Misuse(`not a receipt: ${text}`);
  if (receipt.value.log !== log) throw new Misuse(`the receipt is of log ${receipt.value.log}`);
  return receipt.value.index;
}
