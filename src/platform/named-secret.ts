import { Secret } from "#kernel/secret";
import { ConfigError, ownSecrets } from "./config.ts";

/** The value of a secret or variable of this deployment. */
export type SecretOf = (name: string) => unknown;

/**
 * The secret that a registry entry names. Throws, naming it, when the deployment lacks it, and when it is one of the gateway's own: the
 * entry would have it sent to somebody.
 */
export function namedSecret(name: string, secretOf: SecretOf, expected: string): Secret {
  const value = ownSecrets.has(name) ? undefined : secretOf(name);
  if (typeof value !== "string" || value === "") throw new ConfigError(name, expected);
  return new Secret(value);
}
