import { textAt, type JsonObject } from "#fhir/json/json";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import type { SearchParameter } from "#fhir/search/search";
import { searchParametersOf } from "#fhir/search/parameters";
import { err, ok, type Result } from "#kernel/result";
import { Discloser, type Joined } from "#phi/disclose";
import type { GrantedJoin } from "#policy/grant";
import { allRows, type RowsRefusal } from "#gateway/origin/all-rows";
import type { OriginSession } from "#gateway/origin/origin-session";

/** The resolved joins of a search: the origin is asked for them, and each row is checked against them. */
export interface Resolved {
  readonly parameters: readonly SearchParameter[];
  readonly joined: readonly Joined[];
}

// Limit for a hop: its ids go into the next question. A longer list is a question about all patients.
const rowsMax = 500;

/**
 * Resolves the joins of a search, each by a search of its own for rows that the reader may see. A chain or a
 * `_has` finds out no more than the reader could ask step by step, whatever the origin's own joins do.
 * `undefined`: a join found no row, so no row can match.
 */
export async function resolveJoins(
  joins: readonly GrantedJoin[],
  origin: OriginSession,
): Promise<Result<Resolved | undefined, RowsRefusal>> {
  const [parameters, joined]: [SearchParameter[], Joined[]] = [[], []];
  for (const join of joins) {
    const led = await leadOf(join, origin);
    if (!led.ok) return led;
    const among = [...led.value].filter(
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
async function leadOf(
  { kind, by, hop }: GrantedJoin,
  origin: OriginSession,
): Promise<Result<ReadonlySet<string>, RowsRefusal>> {
  const inner = await resolveJoins(hop.expects.joins, origin);
  if (!inner.ok) return inner;
  if (inner.value === undefined) return ok(new Set());
  const { parameters, joined } = inner.value;
  let discloser: Discloser | undefined;
  let hasRoom = true;
  const sees = (row: JsonObject, base: FhirBase) => {
    discloser ??= new Discloser(hop, origin.basesAt(base), joined);
    const seen = textAt(row, "resourceType") === hop.expects.type ? discloser.seen(row) : undefined;
    if (seen !== undefined) hasRoom = origin.concerned.decide(seen) && hasRoom;
    return seen !== undefined;
  };
  const found = await allRows(hop.expects.askJoined(parameters), rowsMax, origin, sees);
  if (!found.ok) return found;
  if (!hasRoom) return err({ reason: "too_many_rows" });
  const { rows: seen, bytes } = found.value;
  origin.held.giveTrees(bytes); // only the references of the rows go on
  if (kind === "chain") return ok(new Set(seen.map((row) => `${hop.expects.type}/${textAt(row, "id")}`)));
  const led = new Set<string>();
  for (const row of seen)
    for (const reference of discloser?.leadsTo(row, by.paths ?? []) ?? []) led.add(reference);
  return ok(led);
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
  const definition = searchParametersOf(type).get("_id");
  if (definition === undefined) return undefined;
  return {
    definition,
    values: references.map(({ id }) => ({ kind: "token", text: id, system: undefined, code: id })),
  };
}
