import type { RegistryDocument } from "#registry/document";
import { pointer, type RegistryProblem } from "#registry/problem";
import { ConfigError } from "./config-error.ts";

/**
 * The servers that the gateway may call, and the secrets it may send to each. A registry entry alone opens
 * no way into the network.
 */
export interface AllowedPlaces {
  /** `host` or `host:port` of FHIR servers. */
  readonly originHosts: ReadonlySet<string>;
  /**
   * `host` or `host:port` of servers that are asked for keys, about tokens, and for tokens that the gateway
   * uses.
   */
  readonly identityHosts: ReadonlySet<string>;
  /** Name of a secret → the hosts that it may be sent to, or that it may sign for. */
  readonly secretHosts: ReadonlyMap<string, ReadonlySet<string>>;
}

export interface PlaceVariables {
  readonly ORIGIN_HOSTS: string;
  readonly IDENTITY_HOSTS: string;
  readonly SECRET_HOSTS: string;
}

export function allowedPlaces({ ORIGIN_HOSTS, IDENTITY_HOSTS, SECRET_HOSTS }: PlaceVariables): AllowedPlaces {
  return {
    originHosts: hosts(ORIGIN_HOSTS),
    identityHosts: hosts(IDENTITY_HOSTS),
    secretHosts: secretHosts(SECRET_HOSTS),
  };
}

/** A list of hosts, separated by spaces. */
export const hosts = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/u).filter(Boolean));

/** True when a URL is on a listed host. */
export function isAt(url: string | URL, allowed: ReadonlySet<string> | undefined): boolean {
  const { host, hostname } = typeof url === "string" ? new URL(url) : url;
  return allowed?.has(host) === true || allowed?.has(hostname) === true;
}

function secretHosts(text: string): ReadonlyMap<string, ReadonlySet<string>> {
  const all = new Map<string, Set<string>>();
  for (const word of hosts(text)) {
    const { name, host } = /^(?<name>[A-Z][A-Z0-9_]{0,63})@(?<host>[^@]+)$/u.exec(word)?.groups ?? {};
    if (name === undefined || host === undefined)
      throw new ConfigError("SECRET_HOSTS", "NAME@host or NAME@host:port, separated by spaces");
    all.set(name, (all.get(name) ?? new Set()).add(host));
  }
  return all;
}

/**
 * The first address of a registry file that the gateway may not call, or the first secret that may not go to
 * its entry's address.
 */
export function placeProblem(file: RegistryDocument, allowed: AllowedPlaces): RegistryProblem | undefined {
  for (const [i, { url, credentials }] of file.origins.entries()) {
    const at = ["origins", i];
    if (!isAt(url, allowed.originHosts)) return unlisted([...at, "url"], "ORIGIN_HOSTS");
    const tokenEndpoint = "tokenEndpoint" in credentials ? credentials.tokenEndpoint : undefined;
    const endpoint = identityProblem(tokenEndpoint, [...at, "credentials", "tokenEndpoint"], allowed);
    if (endpoint !== undefined) return endpoint;
    const secret = "secret" in credentials ? credentials.secret : undefined;
    const problem = secretProblem(
      secret,
      tokenEndpoint === undefined ? [url] : [url, tokenEndpoint],
      [...at, "credentials", "secret"],
      allowed,
    );
    if (problem !== undefined) return problem;
    const binding = "binding" in credentials ? credentials.binding : undefined;
    const unbound = secretProblem(binding, [url], [...at, "credentials", "binding"], allowed);
    if (unbound !== undefined) return unbound;
  }
  for (const [i, { jwksUri, introspection }] of file.issuers.entries()) {
    const at = ["issuers", i, "introspection"];
    const problem =
      identityProblem(jwksUri, ["issuers", i, "jwksUri"], allowed) ??
      identityProblem(introspection?.endpoint, [...at, "endpoint"], allowed) ??
      secretProblem(
        introspection?.credentials.secret,
        [introspection?.endpoint ?? []].flat(),
        [...at, "credentials", "secret"],
        allowed,
      );
    if (problem !== undefined) return problem;
  }
  for (const [i, { jwksUri }] of file.clients.entries()) {
    const problem = identityProblem(jwksUri, ["clients", i, "jwksUri"], allowed);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** A deployment that lists no places has no certificate for an origin either. */
export function unboundProblem({ origins }: RegistryDocument): RegistryProblem | undefined {
  const i = origins.findIndex(({ credentials }) => credentials.kind === "mtls");
  return i === -1
    ? undefined
    : {
        reason: "invalid",
        pointer: pointer(["origins", i, "credentials", "binding"]),
        problem: "is not known here: list it with its host in SECRET_HOSTS, and the host in ORIGIN_HOSTS",
      };
}

function identityProblem(
  url: string | undefined,
  at: readonly PropertyKey[],
  { identityHosts }: AllowedPlaces,
): RegistryProblem | undefined {
  return url === undefined || isAt(url, identityHosts) ? undefined : unlisted(at, "IDENTITY_HOSTS");
}

function secretProblem(
  name: string | undefined,
  urls: readonly string[],
  at: readonly PropertyKey[],
  { secretHosts }: AllowedPlaces,
): RegistryProblem | undefined {
  if (name === undefined || urls.every((url) => isAt(url, secretHosts.get(name)))) return undefined;
  return {
    reason: "invalid",
    pointer: pointer(at),
    problem: "may not be used for this host: SECRET_HOSTS of this deployment does not list it",
  };
}

const unlisted = (at: readonly PropertyKey[], variable: string): RegistryProblem => ({
  reason: "invalid",
  pointer: pointer(at),
  problem: `its host is not listed in ${variable} of this deployment`,
});
