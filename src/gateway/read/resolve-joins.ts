import type { SearchParameter } from "#fhir/search/search";
import { err, ok, type Result } from "#kernel/result";
import type { DecidingRow } from "#phi/additional-patients";
import type { Joined } from "#phi/row-views";
import { joinNeeds } from "#policy/row-needs";
import type { GrantedJoin, Opening, OpeningReference, SearchGrant } from "#policy/grant";
import { eachPage, isUnknownAtOrigin, pagesUsual } from "#gateway/origin/pages";
import type { RowsRefusal } from "#gateway/origin/asking";
import type { OriginSession } from "#gateway/origin/origin-session";
import { seenRows } from "#gateway/origin/seen-rows";
import { JoinsByPage, ledToBy, rowNamesMax, byIds, byReferences, type ResolvedHop } from "./joins-by-page.ts";

/** The resolved joins of a search: the origin is asked for them, and each row is checked against them. */
export type Resolved = Omit<ResolvedHop, "grant">;

// Limit for a hop that is read before its search: its ids go into the next question.
const rowsMax = 500;

/**
 * Resolves what a search needs before it is asked: its joins, and the references that open its resources. The
 * grant then shows each resource by the references that lead to it.
 */
export async function resolveSearch(
  grant: SearchGrant,
  origin: OriginSession,
): Promise<Result<{ readonly grant: SearchGrant; readonly resolved: Resolved } | undefined, RowsRefusal>> {
  const resolved = await resolveJoins(grant.expects.joins, origin);
  if (!resolved.ok) return resolved;
  if (resolved.value === undefined) return ok(undefined);
  const { opening, type } = grant.expects;
  if (opening === undefined) return ok({ grant, resolved: resolved.value });
  const names = await openedBy(opening, type, origin);
  if (!names.ok) return names;
  const among = [...names.value.keys()];
  if (among.length > rowsMax) return err({ reason: "too_many_rows" });
  const parameter = byIds(among);
  if (among.length === 0 || parameter === undefined) return ok(undefined);
  const { viewOf, needsOf } = opening.viewBy((resource) => names.value.get(resource) ?? noNames);
  return ok({
    grant: { ...grant, viewOf, needsOf },
    resolved: {
      ...resolved.value,
      parameters: [...resolved.value.parameters, parameter],
      joined: [...resolved.value.joined, { paths: undefined, among: new Set(among) }],
    },
  });
}

const noNames: ReadonlySet<string> = new Set();

/**
 * As {@link resolveSearch}, for a search whose rows are judged without pages: a join that only its pages resolve is
 * refused, since no row is known to meet it.
 */
export async function resolveWhole(
  search: SearchGrant,
  origin: OriginSession,
): ReturnType<typeof resolveSearch> {
  const ready = await resolveSearch(search, origin);
  return ready.ok && ready.value?.resolved.byPage !== undefined ? err({ reason: "too_many_rows" }) : ready;
}

/** The resources of the type to which visible rows refer, as `Type/id`, with the names of the references. */
async function openedBy(
  { references }: Opening,
  type: string,
  origin: OriginSession,
): Promise<Result<ReadonlyMap<string, ReadonlySet<string>>, RowsRefusal>> {
  const opened = new Map<string, Set<string>>();
  const [plain, chained] = [references.filter(isPlain), references.filter((one) => !isPlain(one))];
  const alike = Map.groupBy(plain, ({ search: { ask } }) => `${ask.path}?${ask.query}`);
  const each = await Promise.all([
    ...[...alike.values()].map((some) => openedThrough(some, type, origin)),
    ...chained.map(async (one) => {
      const ready = await resolveWhole(one.search, origin);
      if (!ready.ok || ready.value === undefined) return ready.ok ? ok([]) : ready;
      return openedThrough([one], type, origin, ready.value.resolved);
    }),
  ]);
  for (const some of each) {
    if (!some.ok) {
      // A server that does not support a parameter has no such row.
      if (isUnknownAtOrigin(some.error)) continue;
      return some;
    }
    for (const { name, resource } of some.value)
      opened.set(resource, (opened.get(resource) ?? new Set()).add(name));
  }
  return ok(opened);
}

const isPlain = ({ search }: OpeningReference): boolean => search.expects.joins.length === 0;

// Half of these pages may be visible rows; hidden rows then decide nothing up to as many again.
const openingPagesMax = 10;

interface OpenedResource {
  /** Name of the reference. */
  readonly name: string;
  /** As `Type/id`. */
  readonly resource: string;
}

/** @param references with the same question: the origin is asked for their rows once. */
async function openedThrough(
  references: readonly OpeningReference[],
  type: string,
  origin: OriginSession,
  { parameters, joined }: Pick<Resolved, "parameters" | "joined"> = { parameters: [], joined: [] },
): Promise<Result<Iterable<OpenedResource>, RowsRefusal>> {
  const opened = new Map<string, OpenedResource>();
  let hasRoom = true;
  const judges = references.map(({ name, search, paths }) =>
    seenRows(search, origin, {
      joined,
      take: (seen, row, discloser) => {
        if (seen.patients.size > rowNamesMax) return false;
        const leads = paths === undefined ? [`${type}/${seen.id}`] : discloser.leadsTo(row, paths);
        const led = [...leads].filter((resource) => resource.startsWith(`${type}/`));
        // A row that opens nothing more decides nothing.
        if (led.some((resource) => !opened.has(`${name} ${resource}`)))
          hasRoom = origin.names.concerned.decide(seen) && hasRoom;
        for (const resource of led) opened.set(`${name} ${resource}`, { name, resource });
        return true;
      },
    }),
  );
  const [first] = references;
  if (first === undefined) return ok([]);
  let visible = 0;
  const failed = await eachPage(
    first.search.expects.askJoined(parameters),
    origin,
    {
      needs: (row, base) => joinNeeds(judges.flatMap(({ needs }) => needs(row, base) ?? [])),
      keeps: (row, base) => {
        if (judges.map(({ keeps }) => keeps(row, base)).includes(true)) visible += 1;
        return false; // only the references of the rows go on
      },
    },
    openingPagesMax,
    (_page, room) => (visible > room ? "too many" : "next"),
  );
  if (failed !== undefined) return err(failed);
  return hasRoom ? ok(opened.values()) : err({ reason: "too_many_rows" });
}

/**
 * Resolves the joins of a search, each by a search of its own for rows that the reader may see. A chain or a
 * `_has` finds out no more than the reader could ask step by step, whatever the origin's own joins do. A join with more
 * rows than go into a question is left to the pages of the search.
 * `undefined`: a join found no row, so no row can match.
 */
async function resolveJoins(
  joins: readonly GrantedJoin[],
  origin: OriginSession,
): Promise<Result<Resolved | undefined, RowsRefusal>> {
  const [parameters, joined]: [SearchParameter[], Joined[]] = [[], []];
  const left: ConstructorParameters<typeof JoinsByPage>[0][number][] = [];
  for (const { kind, type, by, hops } of joins) {
    const [all, resolved]: [Set<string>, ResolvedHop[]] = [new Set(), []];
    let isWhole = true;
    for (const asked of hops) {
      const hop = await resolveSearch(asked, origin);
      if (!hop.ok) return hop;
      if (hop.value === undefined) continue;
      const ready = { grant: hop.value.grant, ...hop.value.resolved };
      resolved.push(ready);
      if (!isWhole) continue;
      const found = await foundByHop({ kind, by }, ready, origin);
      if (!found.ok) return found;
      isWhole = found.value !== undefined;
      for (const name of found.value ?? [])
        if (kind === "chain" || name.startsWith(`${type}/`)) all.add(name);
    }
    if (!isWhole || all.size > rowsMax) {
      left.push({ kind, by, hops: resolved });
      continue;
    }
    const parameter = kind === "chain" ? byReferences(by, [...all]) : byIds([...all]);
    if (all.size === 0 || parameter === undefined) return ok(undefined);
    parameters.push(parameter);
    joined.push({ paths: kind === "chain" ? (by.paths ?? []) : undefined, among: all });
  }
  return ok({ parameters, joined, byPage: left.length === 0 ? undefined : new JoinsByPage(left) });
}

/**
 * The rows of the hop (`chain`), or the resources to which they refer (`has`), as `Type/id`. Undefined: they are more
 * than a hop reads, or the record has no room for their patients.
 */
async function foundByHop(
  join: Pick<GrantedJoin, "kind" | "by">,
  hop: ResolvedHop,
  origin: OriginSession,
): Promise<Result<ReadonlySet<string> | undefined, RowsRefusal>> {
  const { grant, parameters, joined, byPage } = hop;
  if (byPage !== undefined) return ok(undefined);
  const referred = new Set<string>();
  const rows: DecidingRow[] = [];
  const judge = seenRows(grant, origin, {
    joined,
    take: (seen, row, discloser) => {
      if (seen.patients.size > rowNamesMax) return false;
      const { shown: _, ...deciding } = seen;
      rows.push(deciding);
      for (const reference of ledToBy(join, seen, row, discloser)) referred.add(reference);
      return false; // only the references of the rows go on
    },
  });
  const ask = grant.expects.askJoined(parameters);
  const failed = await eachPage(ask, origin, judge, pagesUsual, (_page, room) =>
    rows.length > Math.min(rowsMax, room) ? "too many" : "next",
  );
  if (failed !== undefined) return failed.reason === "too_many_rows" ? ok(undefined) : err(failed);
  return ok(origin.names.concerned.decideAll(rows) ? referred : undefined);
}
