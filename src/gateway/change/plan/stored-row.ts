import { resourceId } from "#fhir/r4/names";
import { utf8 } from "#kernel/encoded";
import { Facts } from "#fhir/json/facts";
import { isObject, property, readJson, type JsonObject } from "#fhir/json/json";
import { statedVersion } from "#fhir/history-entry";
import type { WriteConditions } from "#fhir/preconditions";
import { err, ok, type Result } from "#kernel/result";
import { unread, type DisclosureRefusal } from "#phi/disclose";
import type { ConcernedPatients } from "#phi/disclosure";
import { originUrls, type Bases } from "#phi/origin-urls";
import { part2ScopeOf, withPart2Labels } from "#phi/part2";
import { withStatements } from "#phi/extension";
import { redactResource, type RedactContext, type RedactRefusal, type RedactedResource } from "#phi/redact";
import type { ResourceView } from "#policy/compile";
import type { WriteGrant } from "#policy/evaluate-write";
import { factsFor } from "#policy/facts";
import type { RowNeeds } from "#policy/row-needs";
import { etagOf } from "#gateway/read/etag";

/** A stored resource, with the parts that its writer may see and write. */
export interface StoredRow {
  readonly stored: JsonObject;
  readonly shown: JsonObject;
  readonly sources: WeakMap<JsonObject, JsonObject>;
  readonly view: ResourceView;
  /** The scopes to read cover the row. */
  readonly isReadable: boolean;
  readonly version: string | undefined;
  /** The patients whom the visible part concerns. */
  readonly named: ConcernedPatients;
}

/** The address of the row, as the write names it. */
export interface Place {
  readonly type: string;
  readonly id: string;
}

/** Reads the stored resource. */
export function storedIn(bytes: Uint8Array): Result<JsonObject, DisclosureRefusal> {
  const read = readJson(bytes);
  if (!read.ok) return err(unread(read.error));
  return isObject(read.value) ? ok(read.value) : err({ reason: "answer_mismatch" });
}

/** Judges the stored resource. The row comes first, as with a read: a fault of a hidden row must not show. */
export function storedRow(
  stored: JsonObject,
  place: Place,
  grant: WriteGrant,
  bases: Bases,
): Result<StoredRow, DisclosureRefusal> {
  const view = reachedView(stored, place, grant, bases);
  if (!view.ok) return view;
  const sources = new WeakMap<JsonObject, JsonObject>();
  const cut = cutForWriter(stored, grant, bases, (shown, from) => void sources.set(shown, from));
  if (!cut.ok) return err({ reason: "resource_withheld", because: cut.error });
  return ok({
    stored,
    shown: cut.value.resource,
    sources,
    view: view.value,
    isReadable: grant.mayRead(factsFor(grant, stored), bases.origin),
    version: versionIn(stored),
    named: cut.value,
  });
}

/** The facts to learn before a stored row is judged. @param isWhole `row` is the whole row. */
export const needsOfStored = (
  row: JsonObject,
  { type }: Pick<Place, "type">,
  grant: WriteGrant,
  { origin }: Bases,
  isWhole = true,
): RowNeeds | undefined => grant.seen?.needsOf(storedFacts(row, type, grant, isWhole), origin);

const storedFacts = (row: JsonObject, type: string, grant: WriteGrant, isWhole: boolean): Facts =>
  isWhole ? factsFor(grant, row) : Facts.captured(row, grant.factPaths(type), []);

/**
 * The view by which a stored row is written. A row that the writer may not access has a single refusal. Only
 * the deciding members are needed, unless a Consent is in force for a patient of the row.
 *
 * @param isWhole `row` is the whole row.
 */
export function reachedView(
  row: JsonObject,
  { type, id }: Place,
  grant: WriteGrant,
  { origin }: Bases,
  isWhole = true,
): Result<ResourceView, DisclosureRefusal> {
  const facts = storedFacts(row, type, grant, isWhole);
  const view = grant.seen?.viewOf(facts, origin) && grant.writable(facts, origin);
  if (view === undefined)
    return err({ reason: "row_outside_access", decision: grant.whyHidden(facts, origin) });
  const isAsked = property(row, "resourceType") === type && property(row, "id") === id;
  return isAsked ? ok(view) : err({ reason: "answer_mismatch" });
}

/** The part of an accessible row that its writer sees. */
export function cutForWriter(
  row: JsonObject,
  { seen, factPaths }: WriteGrant,
  bases: Bases,
  note?: RedactContext["note"],
): Result<RedactedResource, RedactRefusal> {
  const view = seen?.viewOf(factsFor({ factPaths }, row), bases.origin);
  // not accessible, which the caller checked before
  if (seen === undefined || view === undefined) return err("malformed");
  return redactResource(row, view, {
    bases,
    urls: originUrls(bases),
    viewInside: (inside, nesting) => seen.viewInside(factsFor({ factPaths }, inside), bases.origin, nesting),
    mayLinkTo: (other) => seen.mayLinkTo(other, bases.origin),
    ...(note === undefined ? {} : { note }),
  });
}

/** The version that conditions a write; it goes into a header. */
export function versionIn(row: JsonObject): string | undefined {
  const said = statedVersion(row);
  return said !== undefined && resourceId.test(said) ? said : undefined;
}

/** The part of a stored row as a read would answer it: with statements, and the labels of a record of 42 CFR Part 2. */
export function asRead(
  stored: JsonObject,
  shown: JsonObject | undefined,
  grant: WriteGrant,
  { origin, public: base }: Bases,
): JsonObject | undefined {
  const { seen } = grant;
  if (shown === undefined || seen === undefined) return shown;
  const factsOf = (each: JsonObject) => factsFor(grant, each);
  const stated = withStatements(shown, seen.statementsOn(factsOf(stored), origin), base);
  const scope = part2ScopeOf(seen.part2Scope, stored, shown, factsOf, origin);
  return scope === undefined ? stated : withPart2Labels(stated, scope);
}

/**
 * True for a tag of a row that its writer cannot read: no tag is current, and a 412 in place of the 404 of an absent
 * row would confirm that the row exists without any change to it.
 */
export const confirmsRow = (ifMatch: WriteConditions["ifMatch"], isReadable: boolean): boolean =>
  ifMatch !== undefined && ifMatch !== "*" && !isReadable;

/**
 * RFC 9110 §13.1.1, by facts that the client can know: the gateway's own tag, compared strongly, or the
 * version if the view shows it.
 *
 * @param shown `undefined`: the client cannot read the row, so no tag is current. A tag would confirm a guess
 * at the content.
 */
export function isCurrent(
  ifMatch: WriteConditions["ifMatch"],
  shown: JsonObject | undefined,
  policyDigest: string,
): boolean {
  if (ifMatch === undefined || ifMatch === "*") return true;
  if (shown === undefined) return false;
  const own = etagOf(utf8(JSON.stringify(shown)), policyDigest);
  const version = statedVersion(shown);
  return ifMatch.some(
    ({ weak, text }) => (!weak && `"${text}"` === own) || (version !== undefined && text === version),
  );
}
