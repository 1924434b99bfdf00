import type { FhirBase } from "#fhir/reference";
import type { OriginEntry } from "#identity/registry-state";
import { namedSecret, type SecretOf } from "./named-secret.ts";
import type { OriginTokens } from "./origin-tokens.ts";
import type { OriginAddress } from "./upstream.ts";

/** Joins a registered origin with the secret that its entry names. Throws, naming the secret, when the deployment lacks it. */
export function originAddress(
  { url, alsoKnownAs = [], credentials, forwardClientCert, transactions, honoursIfMatchOnDelete = false }: OriginEntry,
  secretOf: SecretOf,
  tokens: OriginTokens,
): OriginAddress {
  const base: FhirBase = alsoKnownAs.length === 0 ? url : [url, ...alsoKnownAs];
  const server = { base, forwardClientCert, traits: { transactions, honoursIfMatchOnDelete } };
  switch (credentials.kind) {
    case "none":
      return { ...server, bearer: undefined };
    case "bearer":
      return { ...server, bearer: namedSecret(credentials.secret, secretOf, "an origin's bearer token") };
    case "private_key_jwt": {
      const key = namedSecret(credentials.secret, secretOf, "a private JWK");
      return { ...server, bearer: tokens(credentials, key) };
    }
    case "mtls":
      throw new Error("an origin is registered with credentials that this version cannot present");
  }
}
