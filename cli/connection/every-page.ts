import { err, ok, type Result } from "#kernel/result";
import type { OperatorAnswer } from "./operator-post.ts";

/**
 * Asks for page after page of a list, until a page is shorter than the largest page.
 *
 * @param ask asks for the page after the row of this id; undefined: for the first page.
 * @returns all rows, or the first answer that is not 200.
 */
export async function everyPage<T extends { readonly id: string }>(
  ask: (after: string | undefined) => Promise<OperatorAnswer>,
  rowsOf: (body: OperatorAnswer["body"]) => readonly T[],
  pageMax: number,
): Promise<Result<readonly T[], OperatorAnswer>> {
  const rows: T[] = [];
  for (;;) {
    const answer = await ask(rows.at(-1)?.id);
    if (answer.status !== 200) return err(answer);
    const page = rowsOf(answer.body);
    for (const row of page) rows.push(row);
    if (page.length < pageMax) return ok(rows);
  }
}
