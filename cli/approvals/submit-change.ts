import { planLines, type PolicyBodies } from "#authoring/plan-lines";
import type { PlannedChange } from "#registry/plan";
import { postAsOperator, refusalLine, type Poster } from "../connection/operator-post.ts";
import { printable } from "../printable.ts";

/**
 * A change of the registry. A draft that was made from a registry that was read has that registry's digest in
 * `expects`: a change of a later state is refused, and never overwritten by the draft.
 */
export interface DraftChange {
  readonly expects?: string;
  readonly set?: unknown;
  readonly remove?: Readonly<Record<string, readonly unknown[]>>;
  readonly reinstate?: readonly string[];
}

/**
 * Plans a change, prints the plan, and applies the change. With `why` it makes a proposal in place of that, which a
 * second person approves. Returns 0 when that is done, 2 when it is refused.
 */
export async function submitChange(
  from: Poster,
  draft: DraftChange,
  why: string | undefined,
): Promise<number> {
  const plan = await postAsOperator(from, "api/registry/plan", JSON.stringify(draft));
  if (plan.status !== 200) return printRefusal(plan);
  const changes = plan.body["changes"] as readonly PlannedChange[]; // our API's own form
  for (const line of planLines(changes, plan.body["policies"] as PolicyBodies)) console.log(printable(line));
  if (changes.length === 0) {
    console.log("nothing changes");
    return 0;
  }
  const change = { expects: plan.body["digest"], ...draft };
  if (why !== undefined) return await propose(from, { kind: "change", why, change });
  const done = await postAsOperator(from, "api/registry/changes", JSON.stringify(change));
  if (done.status !== 200) return printRefusal(done);
  console.log("applied");
  return 0;
}

/** Makes a proposal and prints how it is approved. */
export async function propose(from: Poster, document: object): Promise<number> {
  const made = await postAsOperator(from, "api/proposals", JSON.stringify(document));
  if (made.status !== 200) return printRefusal(made);
  const { proposal, opens } = made.body;
  console.log(`proposed: ${String(proposal)}`);
  for (const each of opens as readonly string[]) console.log(printable(`  opens: ${each}`)); // our API's own form
  console.log(`a second person approves it: phylax approve ${String(proposal)}`);
  return 0;
}

/** Prints a refusal, and the way on if it needs a second person. */
export function printRefusal(answer: Parameters<typeof refusalLine>[0]): number {
  console.error(printable(refusalLine(answer)));
  const { detail } = answer.body;
  if (typeof detail === "string" && detail.startsWith("needs a second person"))
    console.error("propose it: the same command with --why TEXT");
  return answer.status < 500 ? 2 : 1;
}
