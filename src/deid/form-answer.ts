import { isArray, isObject, property, readObject, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { isResourceType } from "#fhir/r4/elements";
import type { SortKey } from "#fhir/search/search";
import { sortOrder } from "#fhir/search/sort-order";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import type { DeidForm } from "#policy/form/fates";
import { formBytesMax, type Codes, type DataSetEnded } from "./codes.ts";
import { deidentify } from "./deidentify.ts";

/** An answer as the view of a policy shows it: a resource, or a searchset with the parts that a gateway writes. */
export interface ShownAnswer {
  readonly body: Uint8Array;
  readonly form: DeidForm;
  /** The year of the answer: ages are judged on it. */
  readonly year: number;
  /** The FHIR base that the client calls. */
  readonly base: string;
  /** The order of the matches that was asked for. */
  readonly sort: readonly SortKey[];
  /** The question names several rows: a page of a part of them would tell which of them the origin sends last. */
  readonly isChosen: boolean;
}

/** The reasons why nothing leaves. `withheld_by_form`: the row alone decides it. */
export type FormAnswerRefusal =
  | DataSetEnded
  | { readonly reason: "withheld_by_form" | "part_of_named_rows" | "answer_too_large" };

/**
 * The answer in its form: each resource by the table of fates, with the random code of its row in the place of its id.
 * Nothing else of the answer leaves but the mode of each entry, and the links, which name rows as the client did.
 */
export async function answerInForm(
  answer: ShownAnswer,
  codes: Pick<Codes, "codesOf">,
): Promise<Result<Uint8Array<ArrayBuffer>, FormAnswerRefusal>> {
  if (answer.body.length > formBytesMax) return err({ reason: "answer_too_large" });
  const whole = readObject(answer.body);
  if (whole === undefined) return err({ reason: "answer_too_large" });
  const isList = property(whole, "resourceType") === "Bundle" && property(whole, "type") === "searchset";
  if (isPartOfChosen(answer, property(whole, "link"))) return err({ reason: "part_of_named_rows" });
  const rows = isList ? rowsOf(whole, answer) : { matches: rowOf(whole, answer), others: [], notices: [] };
  if (!isList && rows.matches.length === 0) return err({ reason: "withheld_by_form" });
  const left = [...rows.matches, ...reached(rows.matches, rows.others)];
  const coded = await codesFor(left, codes);
  if (!coded.ok) return coded;
  const [first] = left;
  const body = isList
    ? searchset(whole, answer, { ...rows, left }, coded.value)
    : withCodes(first?.resource ?? {}, coded.value);
  return ok(Uint8Array.from(utf8(JSON.stringify(body))));
}

/** Answers whether further pages follow on the rows that a question names. */
export const isPartOfChosen = ({ isChosen }: ShownAnswer, links: Json | undefined): boolean =>
  isChosen && isArray(links) && links.some((link) => isObject(link) && textAt(link, "relation") === "next");

export interface Row {
  /** `Type/id`. */
  readonly name: string;
  readonly mode: "match" | "include";
  readonly resource: JsonObject;
  /** The rows that the resource names as it leaves: itself, and those to which it refers. */
  readonly names: ReadonlySet<string>;
}

interface Rows {
  readonly matches: readonly Row[];
  readonly others: readonly Row[];
  /** The words of the gateway itself about the question. */
  readonly notices: readonly JsonObject[];
}

function rowsOf(bundle: JsonObject, answer: ShownAnswer): Rows {
  const entries = property(bundle, "entry");
  let rows: readonly Row[] = [];
  const notices: JsonObject[] = [];
  for (const entry of isArray(entries) ? entries : []) {
    const resource = isObject(entry) ? property(entry, "resource") : undefined;
    if (!isObject(entry) || !isObject(resource)) continue;
    const search = property(entry, "search");
    const mode = isObject(search) ? textAt(search, "mode") : undefined;
    if (mode === "outcome") notices.push(noticeOf(entry, resource));
    else rows = rows.concat(rowOf(resource, answer, mode === "include" ? mode : "match"));
  }
  const isMatch = ({ mode }: Row) => mode === "match";
  return { matches: rows.filter(isMatch), others: rows.filter((row) => !isMatch(row)), notices };
}

/** The words alone: the diagnostics of a notice may have the digest of a patient's Consent. */
export function noticeOf(entry: JsonObject, outcome: JsonObject): JsonObject {
  const issues = property(outcome, "issue");
  const issue = (isArray(issues) ? issues : []).map((each) => {
    const { diagnostics: _diagnostics, ...words } = isObject(each) ? each : {};
    return words;
  });
  return { ...entry, resource: { ...outcome, issue } };
}

/** A resource that leaves, still with the ids of its origin; nothing for a resource that is withheld whole. */
export function rowOf(
  shown: JsonObject,
  { form, year, base }: ShownAnswer,
  mode: Row["mode"] = "match",
): readonly Row[] {
  const resource = marked(readable(shown, { form, year, base }));
  const [type, id] = resource === undefined ? [] : [textAt(resource, "resourceType"), textAt(resource, "id")];
  if (resource === undefined || type === undefined || id === undefined) return [];
  const names = new Set<string>();
  noteNames(resource, names);
  return [{ name: `${type}/${id}`, mode, resource, names }];
}

/** A row that cannot be judged is withheld, alone. */
function readable(
  shown: JsonObject,
  at: Pick<ShownAnswer, "form" | "year" | "base">,
): JsonObject | undefined {
  try {
    return deidentify(shown, { ...at, codeOf: (_, id) => id });
  } catch {
    return undefined;
  }
}

const subsetted = { system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", code: "SUBSETTED" };

/** Marks that elements were removed (FHIR R4 §2.1.0.4), whatever the row had. */
export function marked(resource: JsonObject | undefined): JsonObject | undefined {
  if (resource === undefined) return undefined;
  const meta = property(resource, "meta");
  const members = isObject(meta) ? meta : {};
  const tags = property(members, "tag");
  const others = (isArray(tags) ? tags : []).filter(
    (tag) => !isObject(tag) || textAt(tag, "code") !== subsetted.code,
  );
  return { ...resource, meta: { ...members, tag: [...others, subsetted] } };
}

/**
 * The included rows that lead from a match or to a match, by what leaves of them: the row between may be withheld, and
 * the reference may not leave.
 */
export function reached<R extends Pick<Row, "name" | "names">>(
  matches: readonly R[],
  others: readonly R[],
): readonly R[] {
  let found: readonly R[] = [];
  const [known, referred] = [new Set<string>(), new Set<string>()];
  let next = matches;
  for (let left = others; next.length > 0;) {
    for (const { name, names } of next) {
      known.add(name);
      for (const target of names) referred.add(target);
    }
    const leads = ({ name, names }: R) =>
      referred.has(name) || [...names].some((target) => known.has(target));
    next = left.filter(leads);
    found = found.concat(next);
    left = left.filter((row) => !next.includes(row));
  }
  return found;
}

/** Notes the rows that a resource names: itself, the rows inside it, and the targets of its references. */
function noteNames(value: Json, names: Set<string>, isContained = false): void {
  if (isArray(value)) for (const item of value) noteNames(item, names, isContained);
  if (!isObject(value) || isArray(value)) return;
  const name = isContained ? undefined : nameOf(value);
  if (name !== undefined) names.add(name);
  for (const [member, each] of Object.entries(value)) {
    if (member === "reference" && typeof each === "string" && !each.startsWith("#")) names.add(each);
    else noteNames(each, names, member === "contained");
  }
}

function nameOf(value: JsonObject): string | undefined {
  const [type = "", id] = [textAt(value, "resourceType"), textAt(value, "id")];
  return isResourceType(type) && id !== undefined ? `${type}/${id}` : undefined;
}

function codesFor(
  rows: readonly Row[],
  codes: Pick<Codes, "codesOf">,
): Promise<Result<ReadonlyMap<string, string>, DataSetEnded>> {
  return codes.codesOf([...new Set(rows.flatMap(({ names }) => [...names]))]);
}

/** The resource with the code of each row that it names. A row without a code throws: nothing leaves. */
export function withCodes(resource: JsonObject, codes: ReadonlyMap<string, string>): JsonObject {
  const codeOf = (name: string): string => {
    const code = codes.get(name);
    if (code === undefined) throw new Error("a row without a code");
    return code;
  };
  const coded = (value: Json, isContained = false): Json => {
    if (isArray(value)) return value.map((item) => coded(item, isContained));
    return isObject(value) ? codedObject(value, isContained) : value;
  };
  const codedObject = (value: JsonObject, isContained: boolean): JsonObject => {
    const name = isContained ? undefined : nameOf(value);
    const members = Object.entries(value).map(([member, each]): readonly [string, Json] => {
      if (member === "id" && name !== undefined) return [member, codeOf(name)];
      if (member !== "reference" || typeof each !== "string" || each.startsWith("#"))
        return [member, coded(each, member === "contained")];
      return [member, `${each.slice(0, each.indexOf("/"))}/${codeOf(each)}`];
    });
    return Object.fromEntries(members);
  };
  return codedObject(resource, false);
}

/**
 * The list of these rows. Its total is not said: it would count rows that are withheld. The matches have the order that
 * was asked for, and else the order of their codes: the origin's order may be the order of ids or of time.
 */
function searchset(
  bundle: JsonObject,
  { base, sort }: ShownAnswer,
  { left, notices }: Rows & { readonly left: readonly Row[] },
  codes: ReadonlyMap<string, string>,
): JsonObject {
  const order = sortOrder(sort);
  const entries = left.map(({ resource, mode }) => {
    const coded = withCodes(resource, codes);
    const entry = { fullUrl: `${base}/${nameOf(coded) ?? ""}`, resource: coded, search: { mode } };
    return { entry, values: mode === "match" ? order.valuesOf(coded) : [] };
  });
  const inOrder = entries.toSorted(({ entry: one, values }, { entry: other, values: others }) => {
    if (one.search.mode !== other.search.mode) return one.search.mode === "match" ? -1 : 1;
    const byValues = order.compare(values, others);
    if (byValues !== 0 || one.fullUrl === other.fullUrl) return byValues;
    return one.fullUrl < other.fullUrl ? -1 : 1;
  });
  const all = [...notices, ...inOrder.map(({ entry }) => entry)];
  return {
    resourceType: "Bundle",
    type: "searchset",
    link: property(bundle, "link") ?? [],
    ...(all.length > 0 && { entry: all }),
  };
}
