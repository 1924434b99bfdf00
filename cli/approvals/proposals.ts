import * as z from "zod";
import { planLines } from "#authoring/plan-lines";
import type { PlannedChange } from "#registry/plan";
import { listByState } from "./list-by-state.ts";
import { getAsOperator, postAsOperator, posterOf, posterOptions } from "../connection/operator-post.ts";
import { Misuse } from "../misuse.ts";
import { printable } from "../printable.ts";
import { printRefusal } from "./submit-change.ts";
import { giveResult, say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

const row = z.object({
  id: z.string(),
  kind: z.string(),
  why: z.string(),
  proposedAt: z.number(),
  expiresAt: z.number(),
  proposedBy: z.string(),
  state: z.string(),
  decidedBy: z.string().nullable(),
});
const listed = z.object({ proposals: z.array(row) });
// the largest page of the operators' API
const proposalsPageMax = 100;
const shown = z.object({
  proposal: z.looseObject({ ...row.shape, body: z.unknown() }),
  plan: z
    .object({
      changes: z.array(z.unknown()),
      policies: z.record(z.string(), z.unknown()),
      opens: z.array(z.string()),
    })
    .optional(),
  problem: z.object({ pointer: z.string(), problem: z.string() }).optional(),
});

const cellsOf = ({
  id,
  kind,
  why,
  proposedAt,
  proposedBy,
  state,
}: z.infer<typeof row>): readonly string[] => [
  id,
  new Date(proposedAt).toISOString(),
  kind,
  proposedBy,
  why,
  state,
];

const lineOf = ({ id, kind, why, proposedAt, proposedBy, state, decidedBy }: z.infer<typeof row>): string =>
  printable(
    `${id} ${new Date(proposedAt).toISOString()} ${kind} by ${proposedBy}: ${why} (${state}${decidedBy === null ? "" : ` by ${decidedBy}`})`,
  );

/** Lists the open proposals; with `--all` the decided proposals too. Returns 0. */
export const proposalsList = (args: readonly string[]): Promise<number> =>
  listByState(args, {
    noun: "proposals",
    columns: ["proposal", "proposed", "kind", "by", "why", "state"],
    pageMax: proposalsPageMax,
    ask: (from, state, after) =>
      getAsOperator(
        from,
        `api/proposals?state=${state}&limit=${proposalsPageMax}${after === undefined ? "" : `&after=${after}`}`,
      ),
    rowsOf: (body) => listed.parse(body).proposals,
    shown: (each) => ({ cells: cellsOf(each), line: lineOf(each) }),
  });

/** Prints a proposal, its plan on the present registry, and what it would open. */
export async function proposalsShow(args: readonly string[]): Promise<number> {
  const { values, name: id } = readNamedCall(args, posterOptions);
  const answer = await getAsOperator(posterOf(values), `api/proposals/${encodeURIComponent(id)}`);
  if (answer.status !== 200) return printRefusal(answer);
  giveResult(answer.body);
  const { proposal, plan, problem } = shown.parse(answer.body);
  say(lineOf(proposal));
  // the words of a plan do not print the certificate and the sign-in of a new operator
  if (plan === undefined || proposal.kind === "operator")
    say(printable(JSON.stringify(proposal.body, null, 2)));
  if (plan !== undefined) {
    // our API's own form
    for (const line of planLines(plan.changes as readonly PlannedChange[], plan.policies))
      say(printable(line));
    for (const each of plan.opens) say(printable(`opens: ${each}`));
  }
  if (problem !== undefined) say(printable(`cannot be applied: ${problem.pointer} ${problem.problem}`));
  return 0;
}

/** Approves a proposal of a different person. Returns 0 when its act is done, 2 when it is refused. */
export async function approve(args: readonly string[]): Promise<number> {
  const { values, name: proposal } = readNamedCall(args, posterOptions);
  const answer = await postAsOperator(
    posterOf(values),
    "api/proposals/approve",
    JSON.stringify({ proposal }),
  );
  if (answer.status !== 200) return printRefusal(answer);
  const { kind, proposedBy, added, changed, removed } = answer.body;
  giveResult(answer.body);
  const counts =
    typeof added === "number"
      ? `: ${added} added, ${String(changed)} changed, ${String(removed)} removed`
      : "";
  say(printable(`approved: ${String(kind)} of ${String(proposedBy)}${counts}`));
  return 0;
}

/** Closes an open proposal without its act, or ends a role that it gave. Returns 0, or 2 when it is refused. */
export async function proposalsClose(args: readonly string[]): Promise<number> {
  const { values, name: proposal } = readNamedCall(args, { ...posterOptions, note: { type: "string" } });
  if (values.note === undefined) throw new Misuse();
  const document = JSON.stringify({ proposal, note: values.note });
  const answer = await postAsOperator(posterOf(values), "api/proposals/close", document);
  if (answer.status !== 200) return printRefusal(answer);
  giveResult({ proposal, closed: true });
  say("closed");
  return 0;
}
