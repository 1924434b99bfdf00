import { find } from "../search/find.ts";
import type { Pairs } from "../call.ts";
import { readSearchQuery } from "../search/query.ts";
import { badRequest, ServerRefusal } from "../refusal.ts";
import type { Stored } from "../stored.ts";
import type { Store } from "../store.ts";

/**
 * The only resource that meets the condition of a write; undefined: no match. Throws 412 for several matches,
 * and 400 for an unknown parameter, even for a lenient client: an ignored condition would match every
 * resource (R4 http.html#ccreate).
 */
export function onlyMatch(store: Store, type: string, condition: Pairs): Stored | undefined {
  const [match, ...more] = allMatches(store, type, condition);
  if (more.length > 0) throw new ServerRefusal(412, "multiple-matches", "More than one resource matches.");
  return match;
}

export function allMatches({ index }: Store, type: string, condition: Pairs): Stored[] {
  const query = readSearchQuery([type], condition, index);
  if (!query.ok) throw badRequest(query.error.text);
  if (query.value.of.every(({ criteria }) => criteria.length === 0))
    throw badRequest("A condition needs a criterion.");
  return find(index, query.value);
}

/** The query of `If-None-Exist`, or of a conditional reference: with or without a type before it. */
export const conditionIn = (written: string): Pairs => [
  ...new URLSearchParams(written.slice(written.indexOf("?") + 1)),
];
