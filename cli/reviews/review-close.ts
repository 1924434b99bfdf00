import { Misuse } from "../misuse.ts";
import { postAsOperator, posterOf, posterOptions, refusalLine } from "../connection/operator-post.ts";
import { complain, giveResult, say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

/**
 * Closes an open review of a use of break-glass, or changes a finding with a note. Returns 0 when it is closed, 2 when it is refused: no open review
 * has that id.
 */
export async function reviewClose(args: readonly string[]): Promise<number> {
  const { values, name: review } = readNamedCall(args, {
    ...posterOptions,
    finding: { type: "string" },
    note: { type: "string" },
  });
  const { finding, note } = values;
  if (finding !== "justified" && finding !== "unjustified") throw new Misuse();
  const reply = await postAsOperator(
    posterOf(values),
    "api/reviews/close",
    JSON.stringify({ review, finding, note }),
  );
  if (reply.status === 200) {
    giveResult({ review, finding, note: note ?? null });
    say(`closed: ${finding}`);
    return 0;
  }
  complain(refusalLine(reply));
  if (reply.status === 422) complain("the ids of open reviews: `phylax review list`");
  return reply.status < 500 ? 2 : 1;
}
