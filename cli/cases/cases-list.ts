import { parseArgs } from "node:util";
import * as z from "zod";
import { instant } from "#kernel/clock";
import { casesPageMax, listedCase, type ListedCase } from "#registry/case-document";
import { caseState, caseSteps, requestOfCase } from "#registry/cases/case-words";
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

const answer = z.object({ cases: z.array(listedCase) });

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
  const head = `${requestOfCase(found)} of ${found.origin}/${found.patient}: ${stateNow(found)}, due ${found.due}`;
  const disputed = (found.disputed ?? []).map((row) => `disputes ${found.origin}/${row}`);
  const steps = caseSteps(found).map(({ at, says }) => (at === undefined ? says : `${timeOf(at)} ${says}`));
  for (const line of [head, ...disputed, ...steps]) say(printable(line));
  return 0;
}

/** The case of this id. Throws if there is none. */
export async function caseNamed(poster: Poster, id: string): Promise<ListedCase> {
  const reply = await postAsOperator(poster, "api/cases", JSON.stringify({ case: id }));
  if (reply.status !== 200) throw new UnusableName(refusalLine(reply));
  const [found] = answer.parse(reply.body).cases;
  if (found === undefined)
    throw new UnusableName(`no case has the id ${id}: \`phylax cases list\` has the ids`);
  return found;
}

const timeOf = (at: number): string => new Date(at).toISOString();
const stateNow = (each: ListedCase): string => caseState(each, instant(Date.now()));

function rowOf(each: ListedCase): { readonly cells: readonly string[]; readonly line: string } {
  const cells = [
    each.id,
    timeOf(each.receivedAt),
    each.due,
    `${each.origin}/${each.patient}`,
    requestOfCase(each),
    stateNow(each),
  ];
  return { cells, line: cells.join(" ") };
}
