import { Misuse } from "../misuse.ts";
import { postAsOperator, posterOf, posterOptions, refusedBy } from "../connection/operator-post.ts";
import { giveResult, say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

const text = { type: "string" } as const;

/** Ends a data set. Returns 0 when it is over, 2 when it is refused: there is no such data set with codes. */
export async function dataSetEnd(args: readonly string[]): Promise<number> {
  const { values, name: dataSet } = readNamedCall(args, {
    ...posterOptions,
    client: text,
    agreement: text,
    origin: text,
  });
  const { client, agreement, origin } = values;
  if (client === undefined || agreement === undefined || origin === undefined) throw new Misuse();
  const document = { client, agreement, origin, dataSet };
  const reply = await postAsOperator(posterOf(values), "api/data-sets/end", JSON.stringify(document));
  if (reply.status !== 200) throw refusedBy(reply);
  giveResult(document);
  say("ended: its codes are deleted, and name no row any more");
  return 0;
}
