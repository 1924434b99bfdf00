import { parameterName, typeName } from "#fhir/r4/names";
import { err, ok, type Result } from "#kernel/result";

/** A single SMART App Launch 2 resource scope. */
interface Scope {
  /**
   * `patient`: only the data of the token's patient. `user`: the rows that the policy grants to the person
   * who signed in. `system`: every row that the policy grants.
   */
  readonly context: ScopeContext;
  /** A resource type, or `*` for every type. */
  readonly type: string;
  /** Not empty, in the order of `cruds`. */
  readonly permissions: readonly ScopePermission[];
  /** `?category=…&code=…`: all of them must hold. Empty: every row. */
  readonly filters: readonly ScopeFilter[];
}

export type ScopeContext = "patient" | "user" | "system";

/**
 * A condition on a row, as a search states it. The policy decides whether it can be judged on rows of a type; a
 * scope with a condition that cannot be judged reaches no row of that type.
 */
export interface ScopeFilter {
  /** The code of a search parameter, without a modifier. */
  readonly parameter: string;
  /** Any of them may match: `system|code`, `Type/id`, a date with its prefix, the beginning of a text. */
  readonly values: readonly string[];
}

/** The permissions of several scopes add up. */
export type Scopes = readonly Scope[];

/** Never contains the scope's text: its query part may contain data that must not be logged. */
export type ScopeRefusal = {
  readonly reason:
    | "scope_malformed"
    | "scope_unknown"
    | "scope_context_not_supported"
    | "scope_query_not_supported"
    | "scope_exceeds_grant";
};

export type ScopePermission = "c" | "r" | "u" | "d" | "s";

/** The rows that a permission reaches, by owner and by conditions on the row. */
export type ScopeReach = Pick<Scope, "context" | "filters">;

const scopesMax = 64;
const cruds: readonly ScopePermission[] = ["c", "r", "u", "d", "s"];
const resourceScope =
  /^(?<context>patient|user|system)\/(?<type>\*|[A-Z][A-Za-z]{1,63})\.(?<permissions>[a-z*]+)(?<query>\?.*)?$/u;
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/u; // RFC 6749 §3.3
const version1: ReadonlyMap<string, string> = new Map([
  ["read", "rs"],
  ["write", "cud"],
  ["*", "cruds"],
]); // SMART App Launch 2 §3.0.2

/**
 * Reads the value of `scope` (RFC 6749 §3.3, single spaces). Features that this version cannot enforce are
 * recognised and refused.
 */
export function parseScopes(text: string): Result<Scopes, ScopeRefusal> {
  const tokens = text.split(" ");
  if (tokens.length > scopesMax) return err({ reason: "scope_malformed" });
  const scopes: Scope[] = [];
  for (const token of tokens) {
    const scope = parseScope(token);
    if (!scope.ok) return scope;
    for (const one of scope.value) scopes.push(one);
  }
  return scopes.length > scopesMax ? err({ reason: "scope_malformed" }) : ok(scopes);
}

/**
 * Reads the scopes of a list that this version can enforce, for a token of a different issuer or a request
 * (RFC 6749 §3.3: a server may ignore a scope). A scope that is not understood (`openid`, `launch`, an
 * extension), or whose filter cannot be enforced, grants nothing as a whole: a scope without its filter would
 * grant more.
 * @returns the enforceable scopes, and the first refusal among the remaining ones.
 */
export function parseEnforceableScopes(
  tokens: readonly string[],
): Result<{ readonly scopes: Scopes; readonly ignored: ScopeRefusal | undefined }, ScopeRefusal> {
  const scopes: Scope[] = [];
  let ignored: ScopeRefusal | undefined;
  for (const token of tokens) {
    const scope = parseScope(token);
    if (scope.ok) for (const one of scope.value) scopes.push(one);
    else ignored ??= scope.error;
  }
  return scopes.length > scopesMax ? err({ reason: "scope_malformed" }) : ok({ scopes, ignored });
}

/** A single scope, or with the condition `_type` a scope of each of its types. */
function parseScope(token: string): Result<Scopes, ScopeRefusal> {
  if (!scopeToken.test(token)) return err({ reason: "scope_malformed" });
  const { context, type, permissions: written, query } = resourceScope.exec(token)?.groups ?? {};
  if (type === undefined || written === undefined) return err({ reason: "scope_unknown" });
  if (context !== "patient" && context !== "user" && context !== "system")
    return err({ reason: "scope_unknown" });
  const filters = readFilters(query);
  if (filters === undefined) return err({ reason: "scope_query_not_supported" });
  const letters = version1.get(written) ?? written;
  const permissions = cruds.filter((permission) => letters.includes(permission));
  if (permissions.join("") !== letters) return err({ reason: "scope_malformed" });
  const further = filters.filter(({ parameter }) => parameter !== "_type");
  const lists = filters.flatMap(({ parameter, values }) => (parameter === "_type" ? [values] : []));
  if (lists.length === 0) return ok([{ context, type, permissions, filters }]);
  const [named = []] = lists;
  if (!named.every((one) => typeName.test(one))) return err({ reason: "scope_query_not_supported" });
  const meant = named.filter(
    (one) => (type === "*" || type === one) && lists.every((list) => list.includes(one)),
  );
  return ok(meant.map((one) => ({ context, type: one, permissions, filters: further })));
}

// Values in a single condition, and conditions in a single scope: a wide scope names a handful.
const [valuesMax, filtersMax] = [20, 10];
const filterValue = /^[^\s,|$\\?&=]+(?: [^\s,|$\\?&=]+)*(?:\|[^\s,|$\\?&=]+)?$/u;

/**
 * SMART App Launch 2.2 §3.0.2.2. The result is undefined for a condition that is not plainly
 * `parameter=value,value`, since ignoring a condition would widen the scope. It has no modifier and no chain: both
 * lead beyond the element that the row shows.
 */
function readFilters(query: string | undefined): readonly ScopeFilter[] | undefined {
  if (query === undefined) return [];
  const filters: ScopeFilter[] = [];
  for (const part of query.slice(1).split("&")) {
    const at = part.indexOf("=");
    const [parameter, values] = [part.slice(0, Math.max(at, 0)), valuesOf(part.slice(at + 1))];
    if (!parameterName.test(parameter) || values === undefined) return undefined;
    filters.push({ parameter, values });
  }
  return filters.length <= filtersMax ? filters : undefined;
}

function valuesOf(text: string): readonly string[] | undefined {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    return undefined;
  }
  const values = decoded.split(",");
  return values.length <= valuesMax && values.every((value) => filterValue.test(value)) ? values : undefined;
}

/**
 * The scopes through which a permission reaches rows of this type; each adds to the rest. Empty: no rows.
 */
export function reachesOf(scopes: Scopes, type: string, permission: ScopePermission): readonly ScopeReach[] {
  return scopes.filter(
    (scope) => (scope.type === "*" || scope.type === type) && scope.permissions.includes(permission),
  );
}

/**
 * The intersection: never more than either side. A `patient/` and a `user/` scope have no common rows that
 * either alone could vouch for.
 */
export function intersectScopes(left: Scopes, right: Scopes): Scopes {
  return left.flatMap((a) =>
    right.flatMap((b): Scopes => {
      const permissions = a.permissions.filter((permission) => b.permissions.includes(permission));
      if (permissions.length === 0 || (a.type !== b.type && a.type !== "*" && b.type !== "*")) return [];
      if (a.context !== b.context && a.context !== "system" && b.context !== "system") return [];
      const context = a.context === "system" ? b.context : a.context;
      const filters = [
        ...a.filters,
        ...b.filters.filter((filter) => !a.filters.some((other) => isWithin(other, filter))),
      ];
      return [{ context, type: a.type === "*" ? b.type : a.type, permissions, filters }];
    }),
  );
}

const isWithin = (narrow: ScopeFilter, wide: ScopeFilter): boolean =>
  narrow.parameter === wide.parameter && narrow.values.every((value) => wide.values.includes(value));

/** Each scope, limited to the token's patient. */
export const limitToPatient = (scopes: Scopes): Scopes =>
  scopes
    .filter(({ context }) => context !== "user")
    .map(({ type, permissions, filters }) => ({ context: "patient", type, permissions, filters }));

/**
 * RFC 6749 §3.3: the requested scopes, if the grant contains all of them. A scope beyond the grant is
 * refused, not silently dropped.
 */
export function narrowScopes(requested: Scopes, granted: Scopes): Result<Scopes, ScopeRefusal> {
  // Only a wildcard contains a wildcard: it also includes the resource types of later versions.
  const within = requested.every((scope) =>
    scope.permissions.every((permission) =>
      reachesOf(granted, scope.type, permission).some((wide) => holds(wide, scope)),
    ),
  );
  return within ? ok(requested) : err({ reason: "scope_exceeds_grant" });
}

/** True if every row of the narrow reach is also in the wide reach. */
const holds = (wide: ScopeReach, narrow: ScopeReach): boolean =>
  (wide.context === "system" || wide.context === narrow.context) &&
  wide.filters.every((filter) => narrow.filters.some((narrower) => isWithin(narrower, filter)));

/** The value of `scope` in a token or an answer. */
export function formatScopes(scopes: Scopes): string {
  return [...new Set(scopes.map(formatScope))].join(" ");
}

function formatScope({ context, type, permissions, filters }: Scope): string {
  const query = filters
    .map(({ parameter, values }) => `${parameter}=${values.map(escaped).join(",")}`)
    .join("&");
  return `${context}/${type}.${permissions.join("")}${query === "" ? "" : `?${query}`}`;
}

// As in SMART's own examples: only characters that a scope token cannot contain are escaped (RFC 6749
// §3.3).
const escaped = (value: string) => encodeURIComponent(value).replaceAll(/%3A|%2F|%7C/gu, decodeURIComponent);
