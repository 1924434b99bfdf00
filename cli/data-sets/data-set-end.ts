import { parseArgs } from "node:util";
import { Misuse } from "../misuse.ts";
import { postAsOperator, posterOf, posterOptions, refusalLine } from "../connection/operator-post.ts";
import { complain, giveResult, say } from "../output.ts";

const text = { type: "string" } as const;

/** Ends a data set. Returns 0 when it is over, 2 when it is refused: there is no such data set with codes. */
export async function dataSetEnd(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...posterOptions, client: text, agreement: text, origin: text },
  });
  const [dataSet, ...more] = positionals;
  const { client, agreement, origin } = values;
  if (dataSet === undefined || more.length > 0 || client === undefined) throw new Misuse();
  if (agreement === undefined || origin === undefined) throw new Misuse();
  const document = { client, agreement, origin, dataSet };
  const reply = await postAsOperator(posterOf(values), "api/data-sets/end", JSON.stringify(document));
  if (reply.status === 200) {
    giveResult(document);
    say("ended: its codes are deleted, and name no row any more");
    return 0;
  }
  complain(refusalLine(reply));
  return reply.status < 500 ? 2 : 1;
}
