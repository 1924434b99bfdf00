import { readEntry } from "#fhir/bundle";
import type { EntryBytes } from "#fhir/json/entry-splitter";
import { textAt, type JsonObject } from "#fhir/json/json";
import { parseReference } from "#fhir/r4/reference";
import { searchParametersOf } from "#fhir/search/parameters";
import type { SearchParameter } from "#fhir/search/search";
import { ok, type Result } from "#kernel/result";
import type { Discloser } from "#phi/disclose";
import type { DecidingRow } from "#phi/additional-patients";
import type { Joined } from "#phi/row-views";
import type { GrantedJoin, SearchGrant } from "#policy/grant";
import type { RowsRefusal } from "#gateway/origin/asking";
import type { OriginSession } from "#gateway/origin/origin-session";
import { eachPage, pagesUsual } from "#gateway/origin/pages";
import { questionsById } from "#gateway/origin/rows-by-id";
import { seenRows } from "#gateway/origin/seen-rows";

/**
 * A row that names more patients leads to more resources than a question takes. It joins nothing, so that it uses up
 * the names of nobody's join: the share of a row is a constant, whatever further rows are.
 */
export const rowNamesMax = 500;

// Constants of a page of the client, whatever rows there are: the next page begins with a row that has no question left.
const [questionsMax, rowsAsked, pagesOfMany] = [60, 200, 4];
// The first row comes alone, so that the questions reach it.
const rowsAtOnce = [1, 50] as const;

/** A hop whose own joins are resolved. */
export interface ResolvedHop {
  readonly grant: SearchGrant;
  readonly parameters: readonly SearchParameter[];
  readonly joined: readonly Joined[];
  /** Joins of the hop itself that only its rows tell. */
  readonly byPage: JoinsByPage | undefined;
}

interface JoinByPage extends Pick<GrantedJoin, "kind" | "by"> {
  readonly hops: readonly ResolvedHop[];
  /** The resources that the join has found, as `Type/id`. */
  readonly among: Set<string>;
  /** The resources that it does not find. */
  readonly absent: Set<string>;
}

/** A row that its client may see if each join meets it. */
interface JoiningRow<T> {
  readonly row: T;
  /** The resources by one of which a join meets the row. */
  readonly names: readonly (readonly string[])[];
}

/** The questions that are left for a page of the client. */
export interface Work {
  questions: number;
}

/**
 * Joins whose hops have too many rows to be read before the search. The search comes first, and each of its pages asks
 * for rows that lead to its own rows. One visible row decides each of them, so that rows which one client writes cost
 * at most the rows to which they lead.
 */
export class JoinsByPage {
  readonly #joins: readonly JoinByPage[];
  /** The questions of a whole page were too few for a row, which stays out. */
  hasLeftOut = false;

  constructor(joins: readonly Pick<JoinByPage, "kind" | "by" | "hops">[]) {
    this.#joins = joins.map((join) => ({ ...join, among: new Set(), absent: new Set() }));
  }

  /** The finds of the joins so far: they grow with each page. */
  get joined(): readonly Joined[] {
    return this.#joins.map(({ kind, by, among }) => ({
      paths: kind === "chain" ? (by.paths ?? []) : undefined,
      among,
    }));
  }

  static work(): Work {
    return { questions: questionsMax };
  }

  /**
   * Asks about the entries of an origin page. The facts of its rows are known.
   *
   * @param discloser judges by the joins that are known. @returns the entries that the questions did not reach.
   */
  async learnPage(
    { discloser, type }: { readonly discloser: Discloser; readonly type: string },
    entries: readonly EntryBytes[],
    origin: OriginSession,
    work: Work,
  ): Promise<Result<ReadonlySet<EntryBytes>, RowsRefusal>> {
    const rows = entries.flatMap((entry) => {
      const read = readEntry(entry);
      const row = read.ok && read.value.mode === "match" ? read.value.resource : undefined;
      // The engine of bytes still states what an entry lacked before.
      if (row === undefined || textAt(row, "resourceType") !== type || discloser.needs(row) !== undefined)
        return [];
      return this.joining(entry, row, discloser, discloser.seen(row)) ?? [];
    });
    const isFresh = work.questions === questionsMax;
    const learned = await this.learn(rows, origin, work);
    if (!learned.ok) return learned;
    const first = rows.find(({ row }) => learned.value.has(row));
    this.hasLeftOut ||= isFresh && first !== undefined && first === rows[0];
    return ok(new Set(first === undefined ? [] : entries.slice(entries.indexOf(first.row))));
  }

  joining<T>(
    row: T,
    tree: JsonObject,
    discloser: Discloser,
    seen: DecidingRow | undefined,
  ): JoiningRow<T> | undefined {
    if (seen === undefined) return undefined;
    const names = this.#joins.map(({ kind, by, hops }) => {
      if (kind === "has") return [`${seen.type}/${seen.id}`];
      const types = hops.map((hop) => `${hop.grant.expects.type}/`);
      return [...discloser.leadsTo(tree, by.paths ?? [])].filter((name) =>
        types.some((type) => name.startsWith(type)),
      );
    });
    return { row, names };
  }

  /** Asks which rows the joins meet, in their order. @returns the rows that the questions did not reach. */
  async learn<T>(
    rows: readonly JoiningRow<T>[],
    origin: OriginSession,
    work: Work,
  ): Promise<Result<ReadonlySet<T>, RowsRefusal>> {
    const unreached = new Set<T>();
    for (let from = 0; from < rows.length; from += rowsAtOnce[from === 0 ? 0 : 1]) {
      let left = rows.slice(from, from + rowsAtOnce[from === 0 ? 0 : 1]);
      for (const [index, join] of this.#joins.entries()) {
        const namesOf = ({ names }: JoiningRow<T>) => names[index] ?? [];
        const isKnown = (name: string) => join.among.has(name) || join.absent.has(name);
        const failed = await find(join, new Set(left.flatMap(namesOf)), origin, work);
        if (failed !== undefined) return { ok: false, error: failed };
        left = left.filter((row) => {
          if (namesOf(row).some((name) => join.among.has(name))) return true;
          if (!namesOf(row).every(isKnown)) unreached.add(row.row);
          return false;
        });
      }
    }
    return ok(unreached);
  }

  /** Answers whether each join has met the row. */
  meets({ names }: JoiningRow<unknown>): boolean {
    return this.#joins.every(({ among }, index) => names[index]?.some((name) => among.has(name)));
  }
}

/** Asks about the resources (`Type/id`) that are not known, in their order, as long as questions are left. */
async function find(
  join: JoinByPage,
  names: ReadonlySet<string>,
  origin: OriginSession,
  work: Work,
): Promise<RowsRefusal | undefined> {
  const unknown = [...names].filter((name) => !join.among.has(name) && !join.absent.has(name));
  for (const [type, ids] of questionsById(unknown)) {
    let left = ids.map((id) => `${type}/${id}`);
    const hops = join.hops.filter(({ grant }) => join.kind === "has" || grant.expects.type === type);
    for (const hop of hops) {
      const absent = await findBy(join, hop, left, origin, work);
      if (!absent.ok) return absent.error;
      left = absent.value;
    }
    for (const name of left) join.absent.add(name);
  }
  return undefined;
}

/**
 * Asks for rows of the hop that lead to these resources, until each has one. Rows in their way lead to few of them: the
 * question is asked again without the resources that are found, or for each half.
 *
 * @returns the resources to which no row leads.
 */
async function findBy(
  join: JoinByPage,
  hop: ResolvedHop,
  names: readonly string[],
  origin: OriginSession,
  work: Work,
): Promise<Result<string[], RowsRefusal>> {
  const parameter = names.length > 0 && work.questions > 0 ? leadingTo(join, names) : undefined;
  if (parameter === undefined) return ok([]);
  const { grant, joined, byPage } = hop;
  const found = new Map<string, DecidingRow>();
  const note = (row: DecidingRow, led: readonly string[]) => {
    for (const name of led) if (!found.has(name)) found.set(name, row);
  };
  const candidates: (JoiningRow<object> & { readonly note: () => void })[] = [];
  const wanted = new Set(names);
  const judge = seenRows(grant, origin, {
    joined,
    take: (seen, row, discloser) => {
      const led = ledToBy(join, seen, row, discloser).filter((name) => wanted.has(name) && !found.has(name));
      if (led.length === 0 || seen.patients.size > rowNamesMax) return false;
      const { shown: _, ...deciding } = seen;
      const candidate = byPage?.joining({}, row, discloser, seen);
      if (candidate === undefined) note(deciding, led);
      else candidates.push({ ...candidate, note: () => note(deciding, led) });
      return false; // only the names of the rows go on
    },
  });
  let isCut = false;
  const failed = await eachPage(
    grant.expects.askJoined([...hop.parameters, parameter], rowsAsked),
    origin,
    judge,
    names.length === 1 ? pagesUsual : pagesOfMany,
    () => {
      work.questions -= 1;
      isCut = found.size === names.length || work.questions <= 0;
      return isCut ? "end" : "next";
    },
  );
  const learned = await byPage?.learn(candidates, origin, work);
  if (failed !== undefined && failed.reason !== "too_many_rows") return { ok: false, error: failed };
  if (learned?.ok === false) return learned;
  for (const candidate of candidates) if (byPage?.meets(candidate) === true) candidate.note();
  for (const name of names) {
    const row = found.get(name);
    if (row === undefined || work.questions < 0) continue;
    // This resource and each behind it wait for the next page if the record has no room.
    if (origin.names.concerned.decide(row)) join.among.add(name);
    else work.questions = -1;
  }
  const rest = names.filter((name) => !found.has(name));
  const isWhole = failed === undefined && !isCut && (learned === undefined || learned.value.size === 0);
  // Hidden rows that fill the pages of a single resource hide it, alone.
  if (isWhole || (names.length === 1 && work.questions > 0)) return ok(rest);
  if (rest.length < names.length) return findBy(join, hop, rest, origin, work);
  const half = Math.ceil(rest.length / 2);
  const first = await findBy(join, hop, rest.slice(0, half), origin, work);
  if (!first.ok) return first;
  const second = await findBy(join, hop, rest.slice(half), origin, work);
  return second.ok ? ok([...first.value, ...second.value]) : second;
}

/** The resources that a row of a hop tells its join, as `Type/id`. */
export const ledToBy = (
  { kind, by }: Pick<GrantedJoin, "kind" | "by">,
  { type, id }: DecidingRow,
  row: JsonObject,
  discloser: Discloser,
): readonly string[] => (kind === "chain" ? [`${type}/${id}`] : [...discloser.leadsTo(row, by.paths ?? [])]);

/** The criterion for rows of a hop that lead to these resources. */
const leadingTo = ({ kind, by }: JoinByPage, names: readonly string[]): SearchParameter | undefined =>
  kind === "chain" ? byIds(names) : byReferences(by, names);

/** The criterion for rows that refer to one of these resources. */
export function byReferences(
  definition: SearchParameter["definition"],
  names: readonly string[],
): SearchParameter {
  const references = names
    .map((name) => parseReference(name, ""))
    .filter((reference) => reference.kind === "local");
  return {
    definition,
    values: references.map(({ type, id }) => ({ kind: "reference", text: `${type}/${id}`, type, id })),
  };
}

/** The criterion for these resources, which have one type. */
export function byIds(names: readonly string[]): SearchParameter | undefined {
  const [type = ""] = names[0]?.split("/") ?? [];
  const definition = searchParametersOf(type).get("_id");
  const ids = names.map((name) => name.slice(type.length + 1));
  return (
    definition && {
      definition,
      values: ids.map((id) => ({ kind: "token", text: id, system: undefined, code: id })),
    }
  );
}
