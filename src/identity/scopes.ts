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
  /** `?category=…`: all of them must hold. Empty: rows of every category. */
  readonly categories: readonly Category[];
}

export type ScopeContext = "patient" | "user" | "system";

/** `system|code`, or a bare `code` of any system: any of them may match. */
export type Category = readonly string[];

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

/** The rows that a permission reaches, by owner and category. */
export type ScopeReach = Pick<Scope, "context" | "categories">;

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
    scopes.push(scope.value);
  }
  return ok(scopes);
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
    if (scope.ok) scopes.push(scope.value);
    else ignored ??= scope.error;
  }
  return scopes.length > scopesMax ? err({ reason: "scope_malformed" }) : ok({ scopes, ignored });
}

function parseScope(token: string): Result<Scope, ScopeRefusal> {
  if (!scopeToken.test(token)) return err({ reason: "scope_malformed" });
  const { context, type, permissions: written, query } = resourceScope.exec(token)?.groups ?? {};
  if (type === undefined || written === undefined) return err({ reason: "scope_unknown" });
  if (context !== "patient" && context !== "user" && context !== "system")
    return err({ reason: "scope_unknown" });
  const categories = readCategories(query);
  if (categories === undefined) return err({ reason: "scope_query_not_supported" });
  const letters = version1.get(written) ?? written;
  const permissions = cruds.filter((permission) => letters.includes(permission));
  if (permissions.join("") !== letters) return err({ reason: "scope_malformed" });
  return ok({ context, type, permissions, categories });
}

// Codes in a single scope: a wide scope names a handful.
const categoriesMax = 20;
const categoryCode = /^[^\s,|$\\?&=]+(?:\|[^\s,|$\\?&=]+)?$/u;

/**
 * SMART App Launch 2.2 §3.0.2.2. Only the search parameter `category` is supported; the result is undefined
 * for any further parameter, since ignoring a condition would widen the scope.
 */
function readCategories(query: string | undefined): readonly Category[] | undefined {
  if (query === undefined) return [];
  const categories = query
    .slice(1)
    .split("&")
    .map((part) => (part.startsWith("category=") ? codesOf(part.slice("category=".length)) : undefined));
  return categories.includes(undefined)
    ? undefined
    : categories.flatMap((codes) => (codes === undefined ? [] : [codes]));
}

function codesOf(text: string): Category | undefined {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    return undefined;
  }
  const codes = decoded.split(",");
  return codes.length <= categoriesMax && codes.every((code) => categoryCode.test(code)) ? codes : undefined;
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
      const categories = [
        ...a.categories,
        ...b.categories.filter((category) => !a.categories.some((other) => isWithin(other, category))),
      ];
      return [{ context, type: a.type === "*" ? b.type : a.type, permissions, categories }];
    }),
  );
}

const isWithin = (narrow: Category, wide: Category): boolean => narrow.every((code) => wide.includes(code));

/** Each scope, limited to the token's patient. */
export const limitToPatient = (scopes: Scopes): Scopes =>
  scopes
    .filter(({ context }) => context !== "user")
    .map(({ type, permissions, categories }) => ({ context: "patient", type, permissions, categories }));

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
  wide.categories.every((category) => narrow.categories.some((narrower) => isWithin(narrower, category)));

/** The value of `scope` in a token or an answer. */
export function formatScopes(scopes: Scopes): string {
  return [...new Set(scopes.map(formatScope))].join(" ");
}

function formatScope({ context, type, permissions, categories }: Scope): string {
  const query = categories.map((codes) => `category=${codes.map(escaped).join(",")}`).join("&");
  return `${context}/${type}.${permissions.join("")}${query === "" ? "" : `?${query}`}`;
}

// As in SMART's own examples: only characters that a scope token cannot contain are escaped (RFC 6749
// §3.3).
const escaped = (code: string) => encodeURIComponent(code).replaceAll(/%3A|%2F|%7C/gu, decodeURIComponent);
