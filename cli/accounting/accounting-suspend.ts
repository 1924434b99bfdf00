import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { postAsOperator, posterOptions, refusedBy } from "../connection/operator-post.ts";
import { complain, giveResult, say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

/**
 * Suspends an individual's right to an accounting of disclosures to one recipient (45 CFR 164.528(a)(2)). The
 * file names the individual, the recipient, the period and the recipient's statement (docs/accounting.md).
 * Returns 0 when the suspension is in force, 2 when it is refused.
 */
export async function accountingSuspend(args: readonly string[]): Promise<number> {
  const { values, name: file } = readNamedCall(args, posterOptions);
  if (!existsSync(file)) {
    complain(`${file} does not exist: name the file of the suspension`);
    return 2;
  }
  const from = { state: resolve(values.state), operator: values.operator, token: values["operator-token"] };
  const answer = await postAsOperator(from, "api/accounting/suspensions", readFileSync(file));
  if (answer.status !== 200) throw refusedBy(answer);
  giveResult(answer.body);
  say("suspended");
  return 0;
}
