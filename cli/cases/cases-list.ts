import { parseArgs } from "node:util";
import * as z from "zod";
import { casesPageMax } from "#registry/case-document";
import { Misuse, printFault, UnusableName } from "../misuse.ts";
import { everyPage } from "../connection/every-page.ts";
import {
  postAsOperator,
  posterOf,
  posterOptions,
  refusalLine,
  type Poster,
} from "../connection/operator-post.ts";
import { complain, giveResult, say, sayRows } from "../output.ts";
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
});
type Listed = z.infer<typeof listed>;
const answer = z.object({ cases: z.array(listed) });

/** Lists the requests for amendments, the oldest first: without `--all` the open ones. Returns 0, or 2 when it is refused. */
export async function casesList(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { ...posterOptions, all: { type: "boolean", default: false } },
  });
  if (positionals.length > 0) throw new Misuse();
  try {
    const state = values.all ? "all" : "open";
    const found = await everyPage(
      (after) => postAsOperator(posterOf(values), "api/cases", JSON.stringify({ state, after })),
      (body) => answer.parse(body).cases,
      casesPageMax,
    );
    if (!found.ok) {
      complain(refusalLine(found.error));
      return found.error.status < 500 ? 2 : 1;
    }
    const cases = found.value.toSorted((a, b) => a.due.localeCompare(b.due));
    giveResult(cases);
    sayRows(["case", "received", "due", "patient", "request", "state"], cases.map(rowOf));
    if (cases.length === 0) say(values.all ? "no cases" : "no open cases");
    return 0;
  } catch (fault) {
    return printFault(fault);
  }
}

/** Shows a case with its steps. */
export async function casesShow(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: posterOptions,
  });
  const [id, ...more] = positionals;
  if (id === undefined || more.length > 0) throw new Misuse();
  try {
    const found = await caseNamed(posterOf(values), id);
    giveResult(found);
    for (const line of stepsOf(found)) say(printable(line));
    return 0;
  } catch (fault) {
    return printFault(fault);
  }
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
  ];
}
