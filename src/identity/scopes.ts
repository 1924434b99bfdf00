import { err, ok, type Result } from "#kernel/result";

/** One SMART App Launch 2 resource scope. */
interface Scope {
  /** `patient`: only what is the token's patient's. `user`: what the policy lets the one who signed in reach. `system`: every row that the policy lets through. */
  readonly context: ScopeContext;
  /** A resource type, or `*` for each. */
  readonly type: string;
  /** Not empty, in the order of `cruds`. */
  readonly permissions: readonly Permission[];
  /** `?category=…`: all must hold. Empty: rows of every category. */
  readonly categories: readonly Category[];
}

export type ScopeContext = "patient" | "user" | "system";

/** `system|code`, or a bare `code` of any system: any of them may hold. */
export type Category = readonly string[];

/** What several scopes permit adds up. */
export type Scopes = readonly Scope[];

/** Never the scope's text: its query part may hold what a log may not. */
export type ScopeRefusal = {
  readonly reason:
    | "scope_malformed"
    | "scope_unknown"
    | "scope_context_not_supported"
    | "scope_query_not_supported"
    | "scope_exceeds_grant";
};

export type Permission = "c" | "r" | "u" | "d" | "s";

/** Whose rows a permission reaches, and of which categories. */
export type ScopeReach = Pick<Scope, "context" | "categories">;

const scopesMax = 64;
const cruds: readonly Permission[] = ["c", "r", "u", "d", "s"];
const resourceScope =
  /^(?<context>patient|user|system)\/(?<type>\*|[A-Z][A-Za-z]{1,63})\.(?<permissions>[a-z*]+)(?<query>\?.*)?$/u;
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/u; // RFC 6749 §3.3
const version1: ReadonlyMap<string, string> = new Map([
  ["read", "rs"],
  ["write", "cud"],
  ["*", "cruds"],
]); // SMART App Launch 2 §3.0.2

/** SMART's scopes for signing in and launching (SMART App Launch 2 §3.0.4–3.0.6): a token may carry them, and they open no resource. */
const ofSignIn: ReadonlySet<string> = new Set([
  "openid",
  "fhirUser",
  "profile",
  "launch",
  "launch/patient",
  "launch/encounter",
  "offline_access",
  "online_access",
]);

/** Reads the value of `scope` (RFC 6749 §3.3, single spaces). What this version cannot enforce is recognised and refused. */
export function parseScopes(text: string): Result<Scopes, ScopeRefusal> {
  return parseEach(text.split(" "));
}

/** As {@link parseScopes}, for a token of an issuer that signs people in: what it says about the sign-in is passed over. */
export function parseSignedInScopes(tokens: readonly string[]): Result<Scopes, ScopeRefusal> {
  return parseEach(tokens.filter((token) => !ofSignIn.has(token)));
}

function parseEach(tokens: readonly string[]): Result<Scopes, ScopeRefusal> {
  if (tokens.length > scopesMax) return err({ reason: "scope_malformed" });
  const scopes: Scope[] = [];
  for (const token of tokens) {
    const scope = parseScope(token);
    if (!scope.ok) return scope;
    scopes.push(scope.value);
  }
  return ok(scopes);
}

function parseScope(token: string): Result<Scope, ScopeRefusal> {
  if (!scopeToken.test(token)) return err({ reason: "scope_malformed" });
  const { context, type, permissions: said, query } = resourceScope.exec(token)?.groups ?? {};
  if (type === undefined || said === undefined) return err({ reason: "scope_unknown" });
  if (context !== "patient" && context !== "user" && context !== "system")
    return err({ reason: "scope_unknown" });
  const categories = readCategories(query);
  if (categories === undefined) return err({ reason: "scope_query_not_supported" });
  const letters = version1.get(said) ?? said;
  const permissions = cruds.filter((permission) => letters.includes(permission));
  if (permissions.join("") !== letters) return err({ reason: "scope_malformed" });
  return ok({ context, type, permissions, categories });
}

// Of the codes of one scope: a wide one names a handful.
const categoriesMax = 20;
const categoryCode = /^[^\s,|$\\?&=]+(?:\|[^\s,|$\\?&=]+)?$/u;

/** SMART App Launch 2.2 §3.0.2.2: of search parameters `category` alone; nothing for any other, since a part that is passed over would widen. */
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

/** Through which of the scopes a permission reaches rows of this type; each adds to the others. Empty: nobody's. */
export function reachesOf(scopes: Scopes, type: string, permission: Permission): readonly ScopeReach[] {
  return scopes.filter(
    (scope) => (scope.type === "*" || scope.type === type) && scope.permissions.includes(permission),
  );
}

/** What both permit: never more than either. A patient's and a user's scope have no rows in common that either alone could vouch for. */
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

/** Each scope held to the token's patient. */
export const heldToPatient = (scopes: Scopes): Scopes =>
  scopes
    .filter(({ context }) => context !== "user")
    .map(({ type, permissions, categories }) => ({ context: "patient", type, permissions, categories }));

/** RFC 6749 §3.3: what was asked for, if the grant holds all of it. A part that goes beyond is refused, not quietly dropped. */
export function narrowScopes(requested: Scopes, granted: Scopes): Result<Scopes, ScopeRefusal> {
  // A wildcard is held only by a wildcard: the types of tomorrow are in it too.
  const within = requested.every((scope) =>
    scope.permissions.every((permission) =>
      reachesOf(granted, scope.type, permission).some((wide) => holds(wide, scope)),
    ),
  );
  return within ? ok(requested) : err({ reason: "scope_exceeds_grant" });
}

/** Whether every row of the narrow reach is one of the wide. */
const holds = (wide: ScopeReach, narrow: ScopeReach): boolean =>
  (wide.context === "system" || wide.context === narrow.context) &&
  wide.categories.every((category) => narrow.categories.some((own) => isWithin(own, category)));

/** The value of `scope` in a token or an answer. */
export function formatScopes(scopes: Scopes): string {
  return [...new Set(scopes.map(formatScope))].join(" ");
}

function formatScope({ context, type, permissions, categories }: Scope): string {
  const query = categories.map((codes) => `category=${codes.map(escaped).join(",")}`).join("&");
  return `${context}/${type}.${permissions.join("")}${query === "" ? "" : `?${query}`}`;
}

// As SMART's own examples are written: only what a scope token has no room for is escaped (RFC 6749 §3.3).
const escaped = (code: string) => encodeURIComponent(code).replaceAll(/%3A|%2F|%7C/gu, decodeURIComponent);
