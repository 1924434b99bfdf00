import type { FhirBase } from "#fhir/r4/reference";
import type { OriginEntry } from "#registry/state";
import { Secret } from "#kernel/secret";
import { isAt } from "#platform/config/allowed-places";
import {
  namedBinding,
  namedSecret,
  type NamedSecrets,
  type StoredSecret,
} from "#platform/config/named-secret";
import type { BearerSource, OriginTokens } from "./origin-tokens.ts";
import type { OriginAddress } from "./upstream.ts";

type GivenHeader = NonNullable<OriginEntry["headers"]>[string];

export interface OriginCredentials {
  readonly secrets: NamedSecrets;
  readonly tokens: OriginTokens;
  readonly bearers: (stored: StoredSecret) => BearerSource;
}

/**
 * Joins a registered origin with the secret that its entry names. Throws an error with the secret's name
 * when the deployment does not give that secret to the origin.
 */
export function originAddress(
  { url, alsoKnownAs = [], credentials, headers = {}, storage = [], ...entry }: OriginEntry,
  { secrets, tokens, bearers }: OriginCredentials,
): OriginAddress {
  const base: FhirBase = alsoKnownAs.length === 0 ? url : [url, ...alsoKnownAs];
  const { forwardClientCert, limits = {} } = entry;
  const { timeoutSeconds = 10, concurrent = 256 } = limits;
  // A client with hanging calls leaves half of the calls to the remaining clients.
  const { concurrentPerClient = Math.max(1, Math.floor(concurrent / 2)) } = limits;
  const sourceOf = (name: string, at: string, expected: string): Secret | BearerSource => {
    const secret = namedSecret(name, [at], secrets, expected);
    return secret instanceof Secret ? secret : bearers(secret);
  };
  const headersOf = (given: Readonly<Record<string, GivenHeader>>, at: string) =>
    Object.entries(given).flatMap(([name, each]) => {
      if ("from" in each) return [];
      const value =
        "secret" in each ? sourceOf(each.secret, at, "the value of a header") : new Secret(each.value);
      return [[name, value] as const];
    });
  const server = {
    base,
    forwardClientCert,
    forwardTrace: "traceparent" in headers,
    headers: headersOf(headers, url),
    storage: storage.map(({ base: at, headers: own = {}, bytesMax }) => ({
      base: at,
      bytesMax,
      headers: headersOf(own, at),
    })),
    limits: { timeoutMilliseconds: timeoutSeconds * 1_000, concurrent, concurrentPerClient },
  };
  const binding = "binding" in credentials ? credentials.binding : undefined;
  const certified = binding === undefined ? undefined : namedBinding(binding, url, secrets);
  switch (credentials.kind) {
    case "none":
    case "mtls":
      return { ...server, certified, bearer: undefined };
    case "bearer":
      return { ...server, certified, bearer: sourceOf(credentials.secret, url, "an origin's bearer token") };
    case "private_key_jwt":
    case "client_secret_basic":
    case "client_secret_post": {
      const expected = credentials.kind === "private_key_jwt" ? "a private JWK" : "a client secret";
      const { secret: name, tokenEndpoint } = credentials;
      const secret = namedSecret(name, [url, tokenEndpoint], secrets, expected);
      const shown = isAt(tokenEndpoint, secrets.secretHosts.get(binding ?? "")) ? certified : undefined;
      return { ...server, certified, bearer: tokens(credentials, secret, shown) };
    }
  }
}
