import { listText } from "#fhir/bundle";
import type { JsonObject } from "#fhir/json/json";
import type { FhirBase } from "#fhir/r4/reference";
import { err, ok, type Result } from "#kernel/result";
import type { Linked } from "#phi/included";
import { Discloser, type DisclosureRefusal } from "#phi/disclose";
import { Tally, type Disclosure } from "#phi/disclosure";
import { dated, lastOfEach, type Dated } from "#phi/last-of-each";
import { pageBytesMax } from "#phi/page";
import type { LastNGrant } from "#policy/evaluate-listing";
import { allRows } from "#gateway/origin/pages";
import { decidedAt } from "#gateway/origin/at-origin";
import type { GatherRefusal } from "./gather.ts";
import type { OriginSession } from "#gateway/origin/origin-session";

// A long record holds some thousand observations.
const [rowsMax, pagesMax] = [10_000, 20];

/**
 * The last observations of each kind, among all visible rows of the search. The origin's own `$lastn` is not
 * asked: a hidden latest observation would leave a gap that reveals it.
 */
export async function listLastN(
  { search: permitted, question, max }: LastNGrant,
  origin: OriginSession,
): Promise<Result<Disclosure, GatherRefusal>> {
  const here = await decidedAt(origin, permitted);
  if (!here.ok) return here;
  const search = here.value;
  const visible: Dated<Linked>[] = [];
  const tally = new Tally(origin);
  let failed: DisclosureRefusal | undefined;
  let discloser: Discloser | undefined;
  const by = (base: FhirBase) => (discloser ??= new Discloser(search, origin.basesAt(base)));
  const needs = (row: JsonObject, base: FhirBase) => by(base).needs(row);
  const keeps = (row: JsonObject, base: FhirBase) => {
    const decided = by(base).row(row, "Observation");
    if (!decided.ok) failed ??= decided.error;
    const one = decided.ok && decided.value.kind === "match" ? dated(decided.value) : undefined;
    if (one === undefined) tally.withhold(1);
    else visible.push(one);
    return one !== undefined;
  };
  /** All rows together decided the refusal. */
  const refused = <R>(refusal: R): R => {
    for (const { observation } of visible) origin.names.concerned.decide(observation.released);
    return refusal;
  };
  const found = await allRows(search.ask, rowsMax, origin, { needs, keeps }, pagesMax);
  if (!found.ok) return refused(found);
  if (failed !== undefined) return refused(err(failed));
  const rows = lastOfEach(visible, max).map(({ released }) => released);
  if (rows.reduce((sum, { text }) => sum + text.length, 0) > pageBytesMax)
    return refused(err({ reason: "answer_too_large" }));
  const self = `${origin.base}/Observation/$lastn?${question}`;
  tally.writeList(listText({ self, next: undefined, total: rows.length }, rows.length > 0), rows);
  return ok(tally.disclosure(search.withheldPaths));
}
