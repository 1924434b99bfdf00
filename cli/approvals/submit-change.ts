import { needsApproval } from "#registry/problem";
import { planLines, type PolicyBodies } from "#authoring/plan-lines";
import type { PlannedChange } from "#registry/plan";
import { postAsOperator, refusalLine, type Poster } from "../connection/operator-post.ts";
import { printable } from "../printable.ts";
import { complain, giveResult, say } from "../output.ts";

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

/** What became of a change. `result` has the members of `changed` in result-forms.ts; a refusal has none. */
export interface SubmittedChange {
  readonly exitCode: number;
  readonly result?: Readonly<Record<string, unknown>>;
}

/** Gives the result of a change, with further members, and returns its exit code. */
export function giveSubmitted({ exitCode, result }: SubmittedChange, more: object = {}): number {
  if (result !== undefined) giveResult({ ...result, ...more });
  return exitCode;
}

/**
 * Plans a change, prints the plan, and applies the change. With `why` it makes a proposal in place of that, which a
 * second person approves. The exit code is 0 when that is done, 2 when it is refused.
 */
export async function submitChange(
  from: Poster,
  draft: DraftChange,
  why: string | undefined,
): Promise<SubmittedChange> {
  const plan = await postAsOperator(from, "api/registry/plan", JSON.stringify(draft));
  if (plan.status !== 200) return { exitCode: printRefusal(plan) };
  const changes = plan.body["changes"] as readonly PlannedChange[]; // our API's own form
  for (const line of planLines(changes, plan.body["policies"] as PolicyBodies)) say(printable(line));
  if (changes.length === 0) {
    say("nothing changes");
    return { exitCode: 0, result: { changes, applied: false } };
  }
  const change = { expects: plan.body["digest"], ...draft };
  if (why !== undefined) {
    const { exitCode, result } = await propose(from, { kind: "change", why, change });
    return result === undefined ? { exitCode } : { exitCode, result: { changes, applied: false, ...result } };
  }
  const done = await postAsOperator(from, "api/registry/changes", JSON.stringify(change));
  if (done.status !== 200) return { exitCode: printRefusal(done) };
  say("applied");
  return { exitCode: 0, result: { changes, applied: true } };
}

/** Makes a proposal and prints how it is approved. */
export async function propose(from: Poster, document: object): Promise<SubmittedChange> {
  const made = await postAsOperator(from, "api/proposals", JSON.stringify(document));
  if (made.status !== 200) return { exitCode: printRefusal(made) };
  const { proposal, opens } = made.body;
  say(`proposed: ${String(proposal)}`);
  for (const each of opens as readonly string[]) say(printable(`  opens: ${each}`)); // our API's own form
  say(`a second person approves it: phylax approve ${String(proposal)}`);
  return { exitCode: 0, result: { proposal, opens } };
}

/** The way on from a refusal whose sentence does not have it, by its reason. */
const nextSteps: Readonly<Record<string, string>> = {
  person_required:
    "sign in: `phylax operator sign-in OPERATOR --out FILE`, then the same command with --operator OPERATOR --operator-token FILE",
  proposal_not_open: "the ids of open proposals: `phylax proposals list`",
  operator_not_registered: "the ids of operators: `phylax operator list`",
  restore_log_unknown: "the names of logs: `phylax ledger verify`",
};

/** Prints a refusal, and the way on if it needs a second person. */
export function printRefusal(answer: Parameters<typeof refusalLine>[0]): number {
  complain(printable(refusalLine(answer)));
  const { detail } = answer.body;
  if (typeof detail === "string" && detail.startsWith(needsApproval))
    complain("propose it: the same command with --why TEXT");
  const next = nextSteps[String(answer.body["reason"])];
  if (next !== undefined) complain(next);
  return answer.status < 500 ? 2 : 1;
}
