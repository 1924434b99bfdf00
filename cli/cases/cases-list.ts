import { parseArgs } from "node:util";
import * as z from "zod";
import { casesPageMax } from "#registry/case-document";
import { Misuse, UnusableName } from "../misuse.ts";
import { listByState } from "../approvals/list-by-state.ts";
import {
  postAsOperator,
  posterOf,
  posterOptions,
  refusalLine,
  type Poster,
} from "../connection/operator-post.ts";
import { giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";

const listed = z.object({
  id: z.string(),
  receivedAt: z.number(),
  due: z.string(),
  requestId: z.string(),
  client: z.string(),
  origin: z.string(),
  patient: z.string(),
  resource: z.string().nullable(),
  extendedAt: z.number().nullable(),
  extendedBy: z.string().nullable(),
  extensionLetter: z.string().nullable(),
  amendedAt: z.number().nullable(),
  amendedBy: z.string().nullable(),
  amendedRequest: z.string().nullable(),
  decidedAt: z.number().nullable(),
  decidedBy: z.string().nullable(),
  decision: z.string().nullable(),
  reasons: z.array(z.string()).nullable(),
  denialLetter: z.string().nullable(),
  disputed: z.array(z.string()).nullable(),
  statedAt: z.number().nullable(),
  statedBy: z.string().nullable(),
  statement: z.object({ kind: z.string(), rows: z.array(z.string()) }).nullable(),
});
type Listed = z.infer<typeof listed>;
const answer = z.object({ cases: z.array(listed) });

/** Lists the requests for amendments, those with the nearest end first: without `--all` the open ones. Returns 0. */
export const casesList = (args: readonly string[]): Promise<number> =>
  listByState(args, {
    noun: "cases",
    columns: ["case", "received", "due", "patient", "request", "state"],
    pageMax: casesPageMax,
    ask: (from, state, after) => postAsOperator(from, "api/cases", JSON.stringify({ state, after })),
    rowsOf: (body) => answer.parse(body).cases,
    shown: rowOf,
    order: (one, other) => one.due.localeCompare(other.due),
  });

/** Shows a case with its steps. */
export async function casesShow(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: posterOptions,
  });
  const [id, ...more] = positionals;
  if (id === undefined || more.length > 0) throw new Misuse();
  const found = await caseNamed(posterOf(values), id);
  giveResult(found);
  for (const line of stepsOf(found)) say(printable(line));
  return 0;
}

/** The case of this id. Throws if there is none. */
export async function caseNamed(poster: Poster, id: string): Promise<Listed> {
  const reply = await postAsOperator(poster, "api/cases", JSON.stringify({ case: id }));
  if (reply.status !== 200) throw new UnusableName(refusalLine(reply));
  const [found] = answer.parse(reply.body).cases;
  if (found === undefined)
    throw new UnusableName(`no case has the id ${id}: \`phylax cases list\` has the ids`);
  return found;
}

const timeOf = (at: number): string => new Date(at).toISOString();

/** What becomes of a case, in words. */
const stateOf = ({ decision, amendedAt, extendedAt, resource, due }: Listed): string => {
  if (decision !== null) return decision;
  const late = Date.parse(due) + 86_400_000 <= Date.now() ? ", late" : "";
  const words = amendedAt === null ? (extendedAt === null ? "open" : "open, extended") : "open, amended";
  return `${words}${resource === null ? ", unconfirmed" : ""}${late}`;
};

const requestOf = ({ origin, resource }: Listed): string =>
  `${origin}/${resource ?? "(the server did not say where)"}`;

function rowOf(each: Listed): { readonly cells: readonly string[]; readonly line: string } {
  const cells = [
    each.id,
    timeOf(each.receivedAt),
    each.due,
    `${each.origin}/${each.patient}`,
    requestOf(each),
    stateOf(each),
  ];
  return { cells, line: cells.join(" ") };
}

function stepsOf(each: Listed): readonly string[] {
  const step = (at: number | null, words: string) => (at === null ? [] : [`${timeOf(at)} ${words}`]);
  return [
    `${requestOf(each)} of ${each.origin}/${each.patient}: ${stateOf(each)}, due ${each.due}`,
    ...(each.disputed ?? []).map((row) => `disputes ${each.origin}/${row}`),
    ...step(each.receivedAt, `received from ${each.client}, request ${each.requestId}`),
    ...step(each.extendedAt, `extended by ${each.extendedBy ?? ""}, letter ${each.extensionLetter ?? ""}`),
    ...step(each.amendedAt, `amended by ${each.amendedBy ?? ""}, request ${each.amendedRequest ?? ""}`),
    ...step(
      each.decidedAt,
      `${each.decision ?? ""} by ${each.decidedBy ?? ""}` +
        (each.reasons === null ? "" : `: ${each.reasons.join(", ")}, letter ${each.denialLetter ?? ""}`),
    ),
    ...(each.statedAt === null && each.statement !== null ? ["a statement is unfinished"] : []),
    ...step(
      each.statedAt,
      `${each.statement?.kind ?? ""} by ${each.statedBy ?? ""} follows ${each.statement?.rows.join(", ") ?? ""}`,
    ),
  ];
}
