import { parseReference } from "#fhir/r4/reference";
import type { SearchParameter } from "#fhir/search/search";
import { searchParametersOf } from "#fhir/search/parameters";
import { err, ok, type Result } from "#kernel/result";
import type { Joined } from "#phi/row-views";
import { joinNeeds } from "#policy/row-needs";
import type { GrantedJoin, Opening, OpeningReference, SearchGrant } from "#policy/grant";
import { allRows, isUnknownAtOrigin, visitRows } from "#gateway/origin/pages";
import type { RowsRefusal } from "#gateway/origin/asking";
import type { OriginSession } from "#gateway/origin/origin-session";
import { seenRows } from "#gateway/origin/seen-rows";

/** The resolved joins of a search: the origin is asked for them, and each row is checked against them. */
export interface Resolved {
  readonly parameters: readonly SearchParameter[];
  readonly joined: readonly Joined[];
}

// Limit for a hop: its ids go into the next question. A longer list is a question about all patients.
const rowsMax = 500;

// A row that names more patients leads to more resources than a question takes. It joins nothing, so that it uses up
// the names of nobody's join: the share of a row is a constant, whatever further rows are.
const rowNamesMax = rowsMax;

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
  const parameter = idParameter(type, among);
  if (among.length === 0 || parameter === undefined) return ok(undefined);
  const { viewOf, needsOf } = opening.viewBy((resource) => names.value.get(resource) ?? noNames);
  return ok({
    grant: { ...grant, viewOf, needsOf },
    resolved: {
      parameters: [...resolved.value.parameters, parameter],
      joined: [...resolved.value.joined, { paths: undefined, among: new Set(among) }],
    },
  });
}

const noNames: ReadonlySet<string> = new Set();

/** The resources of the type to which visible rows refer, as `Type/id`, with the names of the references. */
async function openedBy(
  { references }: Opening,
  type: string,
  origin: OriginSession,
): Promise<Result<ReadonlyMap<string, ReadonlySet<string>>, RowsRefusal>> {
  const opened = new Map<string, Set<string>>();
  const alike = Map.groupBy(references, ({ search: { ask } }) => `${ask.path}?${ask.query}`);
  const each = await Promise.all([...alike.values()].map((some) => openedThrough(some, type, origin)));
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
): Promise<Result<Iterable<OpenedResource>, RowsRefusal>> {
  const opened = new Map<string, OpenedResource>();
  let hasRoom = true;
  const judges = references.map(({ name, search, paths }) =>
    seenRows(search, origin, {
      take: (seen, row, discloser) => {
        if (seen.patients.size > rowNamesMax) return false;
        hasRoom = origin.names.concerned.decide(seen) && hasRoom;
        for (const resource of discloser.leadsTo(row, paths))
          if (resource.startsWith(`${type}/`)) opened.set(`${name} ${resource}`, { name, resource });
        return true;
      },
    }),
  );
  const [first] = references;
  if (first === undefined) return ok([]);
  const found = await visitRows(
    first.search.ask,
    origin,
    {
      needs: (row, base) => joinNeeds(judges.flatMap(({ needs }) => needs(row, base) ?? [])),
      keeps: (row, base) => judges.map(({ keeps }) => keeps(row, base)).includes(true),
    },
    openingPagesMax,
  );
  if (!found.ok) return found;
  return hasRoom ? ok(opened.values()) : err({ reason: "too_many_rows" });
}

/**
 * Resolves the joins of a search, each by a search of its own for rows that the reader may see. A chain or a
 * `_has` finds out no more than the reader could ask step by step, whatever the origin's own joins do.
 * `undefined`: a join found no row, so no row can match.
 */
async function resolveJoins(
  joins: readonly GrantedJoin[],
  origin: OriginSession,
): Promise<Result<Resolved | undefined, RowsRefusal>> {
  const [parameters, joined]: [SearchParameter[], Joined[]] = [[], []];
  for (const join of joins) {
    const all = new Set<string>();
    for (const hop of join.hops) {
      const found = await foundByHop(join, hop, origin);
      if (!found.ok) return found;
      for (const reference of found.value) all.add(reference);
    }
    const among = [...all].filter(
      (reference) => join.kind === "chain" || reference.startsWith(`${join.type}/`),
    );
    if (among.length > rowsMax) return err({ reason: "too_many_rows" });
    const parameter = parameterOf(join, among);
    if (among.length === 0 || parameter === undefined) return ok(undefined);
    parameters.push(parameter);
    joined.push({ paths: join.kind === "chain" ? (join.by.paths ?? []) : undefined, among: new Set(among) });
  }
  return ok({ parameters, joined });
}

/** The rows of the hop (`chain`), or the resources to which they refer (`has`), as `Type/id`. */
async function foundByHop(
  { kind, by }: GrantedJoin,
  asked: SearchGrant,
  origin: OriginSession,
): Promise<Result<ReadonlySet<string>, RowsRefusal>> {
  const inner = await resolveSearch(asked, origin);
  if (!inner.ok) return inner;
  if (inner.value === undefined) return ok(new Set());
  const { grant: hop } = inner.value;
  const { parameters, joined } = inner.value.resolved;
  const referred = new Set<string>();
  let hasRoom = true;
  const judge = seenRows(hop, origin, {
    joined,
    take: (seen, row, discloser) => {
      if (seen.patients.size > rowNamesMax) return false;
      hasRoom = origin.names.concerned.decide(seen) && hasRoom;
      const found =
        kind === "chain" ? [`${hop.expects.type}/${seen.id}`] : discloser.leadsTo(row, by.paths ?? []);
      for (const reference of found) referred.add(reference);
      return true;
    },
  });
  const found = await allRows(hop.expects.askJoined(parameters), rowsMax, origin, judge);
  if (!found.ok) return found;
  if (!hasRoom) return err({ reason: "too_many_rows" });
  origin.held.giveTrees(found.value.bytes); // only the references of the rows go on
  return ok(referred);
}

function parameterOf({ kind, type, by }: GrantedJoin, among: readonly string[]): SearchParameter | undefined {
  const references = among
    .map((text) => parseReference(text, ""))
    .filter((reference) => reference.kind === "local");
  if (kind === "chain") {
    return {
      definition: by,
      values: references.map(({ type, id }) => ({ kind: "reference", text: `${type}/${id}`, type, id })),
    };
  }
  return idParameter(type, among);
}

function idParameter(type: string, among: readonly string[]): SearchParameter | undefined {
  const definition = searchParametersOf(type).get("_id");
  const ids = among.map((text) => text.slice(type.length + 1));
  return (
    definition && {
      definition,
      values: ids.map((id) => ({ kind: "token", text: id, system: undefined, code: id })),
    }
  );
}
