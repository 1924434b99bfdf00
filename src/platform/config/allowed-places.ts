import type { RegistryDocument } from "#registry/document";
import { firstProblem, invalid, type RegistryProblem } from "#registry/problem";
import { secretNamesIn } from "./secret-names.ts";
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
export const placeProblem = (
  { origins, issuers, clients }: RegistryDocument,
  allowed: AllowedPlaces,
): RegistryProblem | undefined =>
  firstProblem(origins, ({ url, credentials, headers, storage = [] }, i) => {
    const at = ["origins", i];
    if (!isAt(url, allowed.originHosts)) return unlisted([...at, "url"], "ORIGIN_HOSTS");
    const tokenEndpoint = "tokenEndpoint" in credentials ? credentials.tokenEndpoint : undefined;
    const secret = "secret" in credentials ? credentials.secret : undefined;
    const binding = "binding" in credentials ? credentials.binding : undefined;
    const urls = tokenEndpoint === undefined ? [url] : [url, tokenEndpoint];
    return (
      identityProblem(tokenEndpoint, [...at, "credentials", "tokenEndpoint"], allowed) ??
      secretProblem(secret, urls, [...at, "credentials", "secret"], allowed) ??
      secretProblem(binding, [url], [...at, "credentials", "binding"], allowed) ??
      firstProblem(secretNamesIn(headers, [...at, "headers"]), (named) =>
        secretProblem(named.name, [url], named.at, allowed),
      ) ??
      firstProblem(storage, (stored, n) => {
        const place = [...at, "storage", n];
        if (!isAt(stored.base, allowed.originHosts)) return unlisted([...place, "base"], "ORIGIN_HOSTS");
        return firstProblem(secretNamesIn(stored.headers, [...place, "headers"]), (named) =>
          secretProblem(named.name, [stored.base], named.at, allowed),
        );
      })
    );
  }) ??
  firstProblem(issuers, ({ jwksUri, introspection }, i) => {
    const at = ["issuers", i, "introspection"];
    const { endpoint, credentials } = introspection ?? {};
    return (
      identityProblem(jwksUri, ["issuers", i, "jwksUri"], allowed) ??
      identityProblem(endpoint, [...at, "endpoint"], allowed) ??
      secretProblem(credentials?.secret, [endpoint ?? []].flat(), [...at, "credentials", "secret"], allowed)
    );
  }) ??
  firstProblem(clients, ({ jwksUri }, i) => identityProblem(jwksUri, ["clients", i, "jwksUri"], allowed));

/** A deployment that lists no places has no certificate for an origin either. */
export function unboundProblem({ origins }: RegistryDocument): RegistryProblem | undefined {
  const i = origins.findIndex(
    ({ credentials }) => "binding" in credentials && credentials.binding !== undefined,
  );
  return i === -1
    ? undefined
    : invalid(
        ["origins", i, "credentials", "binding"],
        "is not known here: list it with its host in SECRET_HOSTS, and the host in ORIGIN_HOSTS",
      );
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
  return invalid(at, "may not be used for this host: SECRET_HOSTS of this deployment does not list it");
}

const unlisted = (at: readonly PropertyKey[], variable: string): RegistryProblem =>
  invalid(at, `its host is not listed in ${variable} of this deployment`);
