import type { FhirBase } from "#fhir/r4/reference";
import type { OriginEntry } from "#registry/state";
import { Secret } from "#kernel/secret";
import {
  namedBinding,
  namedSecret,
  type NamedSecrets,
  type StoredSecret,
} from "#platform/config/named-secret";
import type { BearerSource, OriginTokens } from "./origin-tokens.ts";
import type { OriginAddress } from "./upstream.ts";

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
  { url, alsoKnownAs = [], credentials, forwardClientCert, limits = {} }: OriginEntry,
  { secrets, tokens, bearers }: OriginCredentials,
): OriginAddress {
  const base: FhirBase = alsoKnownAs.length === 0 ? url : [url, ...alsoKnownAs];
  const { timeoutSeconds = 10, concurrent = 256 } = limits;
  // A client with hanging calls leaves half of the calls to the remaining clients.
  const { concurrentPerClient = Math.max(1, Math.floor(concurrent / 2)) } = limits;
  const server = {
    base,
    forwardClientCert,
    limits: { timeoutMilliseconds: timeoutSeconds * 1_000, concurrent, concurrentPerClient },
  };
  switch (credentials.kind) {
    case "none":
      return { ...server, bearer: undefined };
    case "bearer": {
      const token = namedSecret(credentials.secret, [url], secrets, "an origin's bearer token");
      return { ...server, bearer: token instanceof Secret ? token : bearers(token) };
    }
    case "private_key_jwt":
    case "client_secret_basic": {
      const expected = credentials.kind === "private_key_jwt" ? "a private JWK" : "a client secret";
      const secret = namedSecret(credentials.secret, [url, credentials.tokenEndpoint], secrets, expected);
      return { ...server, bearer: tokens(credentials, secret) };
    }
    case "mtls":
      return { ...server, bearer: undefined, certified: namedBinding(credentials.binding, url, secrets) };
  }
}
