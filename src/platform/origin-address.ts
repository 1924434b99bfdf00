import type { OriginEntry } from "#identity/registry-state";
import { Secret } from "#kernel/secret";
import { ConfigError, ownSecrets } from "./config.ts";
import type { OriginAddress } from "./upstream.ts";

/** Joins a registered origin with the secret that its entry names. Throws, naming the secret, when the deployment lacks it. */
export function originAddress({ url, credentials, forwardClientCert }: OriginEntry, secretOf: (name: string) => unknown): OriginAddress {
  switch (credentials.kind) {
    case "none":
      return { base: url, bearer: undefined, forwardClientCert };
    case "bearer": {
      const secret = ownSecrets.has(credentials.secret) ? undefined : secretOf(credentials.secret);
      if (typeof secret !== "string" || secret === "") throw new ConfigError(credentials.secret, "an origin's bearer token");
      return { base: url, bearer: new Secret(secret), forwardClientCert };
    }
    case "private_key_jwt":
    case "mtls":
      throw new Error("an origin is registered with credentials that this version cannot present");
  }
}
