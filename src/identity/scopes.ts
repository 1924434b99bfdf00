import { err, ok, type Result } from "#kernel/result";

/** One SMART App Launch 2 resource scope. */
interface Scope {
  /** `patient`: only what is the token's patient's. `system`: every row that the policy lets through. */
  readonly context: "patient" | "system";
  /** A resource type, or `*` for each. */
  readonly type: string;
  /** Not empty, in the order of `cruds`. */
  readonly permissions: readonly Permission[];
}

/** What several scopes permit adds up. */
export type Scopes = readonly Scope[];

/** Never the scope's text: its query part may hold what a log may not. */
export type ScopeRefusal = {
  readonly reason: "scope_malformed" | "scope_unknown" | "scope_context_unsupported" | "scope_query_unsupported" | "scope_exceeds_grant";
};

export type Permission = "c" | "r" | "u" | "d" | "s";

/** Whose rows a permission reaches. */
export type Reach = "everyone" | "patient";

const scopesMax = 64;
const cruds: readonly Permission[] = ["c", "r", "u", "d", "s"];
const resourceScope = /^(?<context>patient|user|system)\/(?<type>\*|[A-Z][A-Za-z]{1,63})\.(?<permissions>[a-z*]+)(?<query>\?.*)?$/u;
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
  if (context !== "patient" && context !== "system") return err({ reason: "scope_context_unsupported" });
  if (query !== undefined) return err({ reason: "scope_query_unsupported" });
  const letters = version1.get(said) ?? said;
  const permissions = cruds.filter((permission) => letters.includes(permission));
  if (permissions.join("") !== letters) return err({ reason: "scope_malformed" });
  return ok({ context, type, permissions });
}

/** Whose rows of this type the scopes let be read, searched, …: of several scopes the widest counts. `undefined`: nobody's. */
export function scopeReach(scopes: Scopes, type: string, permission: Permission): Reach | undefined {
  const permitting = scopes.filter((scope) => (scope.type === "*" || scope.type === type) && scope.permissions.includes(permission));
  if (permitting.some(({ context }) => context === "system")) return "everyone";
  return permitting.length > 0 ? "patient" : undefined;
}

/** What both permit: never more than either, and only the patient's where one says so. */
export function intersectScopes(left: Scopes, right: Scopes): Scopes {
  return left.flatMap((a) =>
    right.flatMap((b): Scopes => {
      const permissions = a.permissions.filter((permission) => b.permissions.includes(permission));
      if (permissions.length === 0 || (a.type !== b.type && a.type !== "*" && b.type !== "*")) return [];
      const context = a.context === "system" ? b.context : a.context;
      return [{ context, type: a.type === "*" ? b.type : a.type, permissions }];
    }),
  );
}

/** Each scope held to the token's patient. */
export const heldToPatient = (scopes: Scopes): Scopes => scopes.map((scope) => ({ ...scope, context: "patient" }));

/** RFC 6749 §3.3: what was asked for, if the grant holds all of it. A part that goes beyond is refused, not quietly dropped. */
export function narrowScopes(requested: Scopes, granted: Scopes): Result<Scopes, ScopeRefusal> {
  // A wildcard is held only by a wildcard: the types of tomorrow are in it too.
  const within = requested.every(({ context, type, permissions }) =>
    permissions.every((permission) => {
      const reach = scopeReach(granted, type, permission);
      return reach === "everyone" || (reach === "patient" && context === "patient");
    }),
  );
  return within ? ok(requested) : err({ reason: "scope_exceeds_grant" });
}

/** The value of `scope` in a token or an answer. */
export function formatScopes(scopes: Scopes): string {
  return [...new Set(scopes.map(({ context, type, permissions }) => `${context}/${type}.${permissions.join("")}`))].join(" ");
}
