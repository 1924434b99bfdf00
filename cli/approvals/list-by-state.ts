import { printRefusal } from "./submit-change.ts";
import { Misuse } from "../misuse.ts";
import { giveResult, say, sayRows } from "../output.ts";
import { posterOf, posterOptions, type OperatorAnswer, type Poster } from "../connection/operator-post.ts";
import { readCall } from "../read-call.ts";

/** A list of the operators' API, of which the rows are open until a person ends them. */
export interface ListByState<T> {
  /** In the plural: `cases`. */
  readonly noun: string;
  readonly columns: readonly string[];
  /** The most rows of a page. */
  readonly pageMax: number;
  /** Asks for the page after the row of this id; undefined: for the first page. */
  readonly ask: (from: Poster, state: "open" | "all", after: string | undefined) => Promise<OperatorAnswer>;
  readonly rowsOf: (body: OperatorAnswer["body"]) => readonly T[];
  readonly shown: (row: T) => { readonly cells: readonly string[]; readonly line: string };
  /** The order of the rows. Default: that of the API. */
  readonly order?: (one: T, other: T) => number;
}

/** Prints the open rows of a list; with `--all` the ended rows too. Returns 0, or 2 when it is refused. */
export async function listByState<T extends { readonly id: string }>(
  args: readonly string[],
  { noun, columns, pageMax, ask, rowsOf, shown, order }: ListByState<T>,
): Promise<number> {
  const { values, positionals } = readCall(args, {
    ...posterOptions,
    all: { type: "boolean", default: false },
  });
  if (positionals.length > 0) throw new Misuse();
  const [rows, from]: [T[], Poster] = [[], posterOf(values)];
  for (;;) {
    const answer = await ask(from, values.all ? "all" : "open", rows.at(-1)?.id);
    if (answer.status !== 200) return printRefusal(answer);
    const page = rowsOf(answer.body);
    for (const row of page) rows.push(row);
    if (page.length < pageMax) break;
  }
  if (order !== undefined) rows.sort(order);
  giveResult(rows);
  sayRows(columns, rows.map(shown));
  if (rows.length === 0) say(`no ${values.all ? "" : "open "}${noun}`);
  return 0;
}
