import type { FhirQuestion, OriginCapabilities, OriginTraits, ServedType } from "#fhir/ports";
import { isResourceType } from "#fhir/r4/elements";
import { namesOwner, standIn } from "#fhir/search/stand-in";
import { isJudgeable } from "#fhir/search/row-judge";
import type { SearchParameter } from "#fhir/search/search";
import { err, ok, type Result } from "#kernel/result";
import type { GrantedJoin, OpeningReference, SearchGrant } from "#policy/grant";

/** Why a question is not sent to this origin. The registry's facts about it decide, never a row. */
export type NotAtOrigin =
  | { readonly reason: "parameter_not_at_origin"; readonly parameter: string }
  /** It takes no posted search, and its operator did not accept searches in URLs. */
  | { readonly reason: "posted_search_not_at_origin" }
  | { readonly reason: "type_not_at_origin" };

type Types = NonNullable<OriginCapabilities["types"]>;

/** Answers whether an origin with these types has none of the type, or of the address below a type. */
export const lacksType = (types: Types | undefined, path: string): boolean => {
  const [type = ""] = path.split("/");
  return types !== undefined && isResourceType(type) && !types.has(type);
};

/**
 * The question as this origin can answer it. In place of a parameter that it lacks stands a parameter that finds the
 * same rows. Without one the criterion is left out: each row is judged by the criteria of the client, the rules and the
 * access anyway, and {@link decidedHere} refuses a client's criterion that no row can decide. A type, an order or an
 * include that it lacks is refused, and so is a question that would lose the patient whom it names: it would read the
 * rows of all patients.
 */
export function fitted(
  question: FhirQuestion,
  { capabilities: { types, searchByPost }, acceptsSearchInUrl }: OriginTraits,
): Result<FhirQuestion, NotAtOrigin> {
  const { path, query, posted } = question;
  if (lacksType(types, path)) return err({ reason: "type_not_at_origin" });
  if (query === "" && posted !== true) return ok(question);
  const served = path.includes("/") ? undefined : types?.get(path);
  const parts = query.split("&");
  const kept =
    served === undefined || types === undefined ? ok(parts) : lessUnknown(parts, path, served, types);
  if (!kept.ok) return kept;
  const asksByUrl = posted === true && searchByPost === false;
  if (asksByUrl && !acceptsSearchInUrl) return err({ reason: "posted_search_not_at_origin" });
  return ok({ ...question, query: kept.value.join("&"), ...(asksByUrl && { posted: false }) });
}

/** Parameters of the answer's form, which every server may ignore. */
const ofForm: ReadonlySet<string> = new Set(["_count", "_elements", "_format", "_summary", "_total"]);

function lessUnknown(
  parts: readonly string[],
  type: string,
  served: ServedType,
  types: Types,
): Result<readonly string[], NotAtOrigin> {
  const kept: string[] = [];
  let lost: string | undefined;
  for (const part of parts) {
    const equals = part.indexOf("=");
    const [name, value] = [part.slice(0, equals), part.slice(equals + 1)];
    const [code = ""] = name.split(/[:.]/u);
    if (code === "_sort") {
      const missing = value.split(",").find((key) => !served.search.has(key.replace(/^-/u, "")));
      if (missing !== undefined)
        return err({ reason: "parameter_not_at_origin", parameter: missing.replace(/^-/u, "") });
    } else if (code === "_include" || code === "_revinclude") {
      const [source = type] = decodeURIComponent(value).split(":");
      if (lacksType(types, source)) continue; // it has no row of that type
      if (!isIncluded(value, type, types)) return err({ reason: "parameter_not_at_origin", parameter: code });
    } else if (code !== "" && !ofForm.has(code) && !served.search.has(code)) {
      const other = standIn(type, part, served.search);
      if (other !== undefined) kept.push(other);
      else if (namesOwner(type, part)) lost ??= code;
      continue;
    }
    kept.push(part);
  }
  if (lost === undefined || kept.some((part) => part.startsWith("_id=") || namesOwner(type, part)))
    return ok(kept);
  return err({ reason: "parameter_not_at_origin", parameter: lost });
}

function isIncluded(value: string, type: string, types: Types): boolean {
  const [source = type, code = "*"] = decodeURIComponent(value).split(":");
  return code === "*" || types.get(source)?.search.has(code) === true;
}

/**
 * The grant of a search at this origin: rows are matched here by each parameter that the origin lacks. A
 * parameter by which no row can be judged is refused.
 */
function decidedHere(grant: SearchGrant, types: Types | undefined): Result<SearchGrant, NotAtOrigin> {
  if (types === undefined) return ok(grant);
  const { type } = grant.expects;
  const lacking = grant.clientParameters.filter(({ definition }) => isLacking(types, type, definition.code));
  const undecided = lacking.find((parameter) => !isJudgeable(type, parameter));
  if (undecided !== undefined)
    return err({ reason: "parameter_not_at_origin", parameter: undecided.definition.code });
  const joins: GrantedJoin[] = [];
  for (const join of grant.expects.joins) {
    const hops: SearchGrant[] = [];
    for (const each of join.hops) {
      // a type that the server lacks has no row
      if (join.hops.length > 1 && !types.has(each.expects.type)) continue;
      const hop = decidedHere(each, types);
      if (!hop.ok) return hop;
      hops.push(hop.value);
    }
    joins.push({ ...join, hops });
  }
  const { opening } = grant.expects;
  const references: OpeningReference[] = [];
  for (const reference of opening?.references ?? []) {
    const search = decidedHere(reference.search, types);
    if (!search.ok) return search;
    references.push({ ...reference, search: search.value });
  }
  const opened = opening && { opening: { ...opening, references } };
  const decided = { decidedHere: new Set<SearchParameter>(lacking) };
  const codes = codesIn(grant.ask);
  // A part that its own parameter does not find would have the gateway read every row of the type.
  const further = grant.expects.further
    .filter(({ ask }) => [...codesIn(ask)].every((code) => codes.has(code) || !isLacking(types, type, code)))
    .map((part) => Object.assign({}, part, decided));
  return ok({ ...grant, ...decided, expects: { ...grant.expects, joins, further, ...opened } });
}

/** {@link decidedHere} by the registered behaviour of an origin. */
export async function decidedAt(
  origin: { traits(): Promise<OriginTraits | undefined> },
  grant: SearchGrant,
): Promise<Result<SearchGrant, NotAtOrigin>> {
  return decidedHere(grant, (await origin.traits())?.capabilities.types);
}

const codesIn = ({ query }: FhirQuestion): ReadonlySet<string> =>
  new Set(query.split("&").map((part) => /^[^=:.]*/u.exec(part)?.[0] ?? ""));

const isLacking = (types: Types, type: string, code: string): boolean =>
  types.get(type)?.search.has(code) === false;
