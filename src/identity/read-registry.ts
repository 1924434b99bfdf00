import type * as z from "zod";
import { err, ok, type Result } from "#kernel/result";
import { pointer, registryDocument, type RegistryDocument, type RegistryProblem } from "./registry-document.ts";
import { parseScopes } from "./scopes.ts";

/** Reads a registry file by its schema, and refuses what it asks for that this version cannot enforce. */
export function readRegistry(document: unknown): Result<RegistryDocument, RegistryProblem> {
  const read = registryDocument.safeParse(document);
  if (!read.success) return err(problemOf(read.error));
  const wrong = unsupported(read.data) ?? inconsistent(read.data);
  return wrong === undefined ? ok(read.data) : err(wrong);
}

/** Zod's words name what was expected, not what was there; its first issue is enough to go on. */
function problemOf(error: z.ZodError): RegistryProblem {
  const [issue] = error.issues;
  if (issue === undefined) return { reason: "invalid", pointer: "", problem: "not a registry file" };
  const unknown = issue.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
  return {
    reason: "invalid",
    pointer: pointer([...issue.path, ...unknown]),
    problem: unknown.length > 0 ? "no such field" : issue.message,
  };
}

function not(path: readonly PropertyKey[], what: string): RegistryProblem {
  return { reason: "unsupported", pointer: pointer(path), problem: `this version cannot enforce ${what}` };
}

function bad(path: readonly PropertyKey[], problem: string): RegistryProblem {
  return { reason: "invalid", pointer: pointer(path), problem };
}

function unsupported({ issuers, clients, grants, origins }: RegistryDocument): RegistryProblem | undefined {
  if (issuers.length > 0) return not(["issuers", 0], "tokens of external issuers");
  for (const [i, client] of clients.entries()) {
    if (client.auth !== "private_key_jwt") return not(["clients", i, "auth"], "this way to authenticate");
    if (client.issuer !== undefined) return not(["clients", i, "issuer"], "tokens of external issuers");
    if (client.externalClientId !== undefined) return not(["clients", i, "externalClientId"], "tokens of external issuers");
    if (client.jwksUri !== undefined) return not(["clients", i, "jwksUri"], "keys that are fetched");
    if (client.dpop) return not(["clients", i, "dpop"], "DPoP");
    if (client.patient !== undefined) return not(["clients", i, "patient"], "a client held to one patient");
  }
  for (const [i, { scopes }] of grants.entries()) {
    const read = parseScopes(scopes);
    if (read.ok) continue;
    if (read.error.reason === "scope_context_unsupported") return not(["grants", i, "scopes"], "scopes other than system/");
    if (read.error.reason === "scope_query_unsupported") return not(["grants", i, "scopes"], "scopes with a query part");
  }
  for (const [i, { credentials }] of origins.entries()) {
    const { kind } = credentials;
    if (kind !== "none" && kind !== "bearer") return not(["origins", i, "credentials", "kind"], "these credentials");
  }
  return undefined;
}

/** What a schema cannot say of one entry. */
function inconsistent({ clients, agreements, grants, origins }: RegistryDocument): RegistryProblem | undefined {
  for (const [i, client] of clients.entries()) {
    if (client.jwks === undefined) return bad(["clients", i, "jwks"], "private_key_jwt needs the client's public keys");
    // Tokens are bound to a certificate of the client: without one it could never be given any.
    if (client.certificates.length === 0) return bad(["clients", i, "certificates"], "at least one certificate is needed");
  }
  for (const [i, { from, to }] of agreements.entries()) {
    if (Date.parse(from) >= Date.parse(to)) return bad(["agreements", i, "to"], "must be after from");
  }
  for (const [i, { scopes }] of grants.entries()) {
    if (!parseScopes(scopes).ok) return bad(["grants", i, "scopes"], "not a list of SMART system scopes");
  }
  for (const [i, { url }] of origins.entries()) {
    const { protocol, hostname } = new URL(url);
    if (protocol === "http:" && !loopback.has(hostname)) return bad(["origins", i, "url"], "https is needed but on a loopback host");
  }
  return undefined;
}

const loopback: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);
