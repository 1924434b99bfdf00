import { err, ok, type Result } from "#kernel/result";

/** One SMART App Launch 2 resource scope. */
interface Scope {
  readonly context: "system";
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

const scopesMax = 64;
const cruds: readonly Permission[] = ["c", "r", "u", "d", "s"];
const resourceScope = /^(?<context>patient|user|system)\/(?<type>\*|[A-Z][A-Za-z]{1,63})\.(?<permissions>[a-z*]+)(?<query>\?.*)?$/u;
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/u; // RFC 6749 §3.3
const version1: ReadonlyMap<string, string> = new Map([
  ["read", "rs"],
  ["write", "cud"],
  ["*", "cruds"],
]); // SMART App Launch 2 §3.0.2

/** Reads the value of `scope` (RFC 6749 §3.3, single spaces). What this version cannot enforce is recognised and refused. */
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

function parseScope(token: string): Result<Scope, ScopeRefusal> {
  if (!scopeToken.test(token)) return err({ reason: "scope_malformed" });
  const parts = resourceScope.exec(token)?.groups;
  if (parts?.["type"] === undefined || parts["permissions"] === undefined) return err({ reason: "scope_unknown" });
  if (parts["context"] !== "system") return err({ reason: "scope_context_unsupported" });
  if (parts["query"] !== undefined) return err({ reason: "scope_query_unsupported" });
  const letters = version1.get(parts["permissions"]) ?? parts["permissions"];
  const permissions = cruds.filter((permission) => letters.includes(permission));
  if (permissions.join("") !== letters) return err({ reason: "scope_malformed" });
  return ok({ context: "system", type: parts["type"], permissions });
}

/** Whether any scope permits this kind of interaction with this resource type. */
export function permits(scopes: Scopes, type: string, permission: Permission): boolean {
  return scopes.some((scope) => (scope.type === "*" || scope.type === type) && scope.permissions.includes(permission));
}

/** What both permit: never more than either. */
export function intersectScopes(left: Scopes, right: Scopes): Scopes {
  return left.flatMap((a) =>
    right.flatMap((b): Scopes => {
      const permissions = a.permissions.filter((permission) => b.permissions.includes(permission));
      if (permissions.length === 0 || (a.type !== b.type && a.type !== "*" && b.type !== "*")) return [];
      return [{ context: "system", type: a.type === "*" ? b.type : a.type, permissions }];
    }),
  );
}

/** RFC 6749 §3.3: what was asked for, if the grant holds all of it. A part that goes beyond is refused, not quietly dropped. */
export function narrowScopes(requested: Scopes, granted: Scopes): Result<Scopes, ScopeRefusal> {
  // A wildcard is held only by a wildcard: the types of tomorrow are in it too.
  const within = requested.every(({ type, permissions }) => permissions.every((permission) => permits(granted, type, permission)));
  return within ? ok(requested) : err({ reason: "scope_exceeds_grant" });
}

/** The value of `scope` in a token or an answer. */
export function formatScopes(scopes: Scopes): string {
  return [...new Set(scopes.map(({ context, type, permissions }) => `${context}/${type}.${permissions.join("")}`))].join(" ");
}
