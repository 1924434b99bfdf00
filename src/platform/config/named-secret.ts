import { Secret } from "#kernel/secret";
import { isAt, type AllowedPlaces } from "./allowed-places.ts";
import { ownSecrets } from "./gateway-config.ts";
import { ConfigError } from "./config-error.ts";

/** The secrets of this deployment that registry entries may name. */
export interface NamedSecrets extends Pick<AllowedPlaces, "secretHosts"> {
  /** The value of a secret or variable, or the binding of a Secrets Store. */
  readonly valueOf: (name: string) => unknown;
}

/** A secret that the platform can be asked for again while the worker runs, as a Secrets Store binding is. */
export interface StoredSecret {
  readonly name: string;
  /** Throws when it is not there. */
  read(): Promise<Secret>;
}

/**
 * The secret that a registry entry names. Throws, naming it, when the deployment lacks it, when it may not be used for one of these addresses
 * (SECRET_HOSTS), and when it is one of the gateway's own: the entry would have it sent to somebody.
 */
export function namedSecret(
  name: string,
  urls: readonly string[],
  { valueOf, secretHosts }: NamedSecrets,
  expected: string,
): Secret | StoredSecret {
  if (ownSecrets.has(name) || !urls.every((url) => isAt(url, secretHosts.get(name))))
    throw new ConfigError(name, "SECRET_HOSTS to say its host");
  const value = valueOf(name);
  if (!isStore(value)) return secretOf(name, value, expected);
  return { name, read: async () => secretOf(name, await value.get(), expected) };
}

/** The value now, wherever it is. */
export const currentValue = async (secret: Secret | StoredSecret): Promise<Secret> =>
  secret instanceof Secret ? secret : await secret.read();

function secretOf(name: string, value: unknown, expected: string): Secret {
  if (typeof value !== "string" || value === "") throw new ConfigError(name, expected);
  return new Secret(value);
}

const isStore = (value: unknown): value is { get(): Promise<unknown> } =>
  typeof value === "object" && value !== null && typeof Reflect.get(value, "get") === "function";
