import { Secret } from "#kernel/secret";
import { isAt, type AllowedPlaces } from "./allowed-places.ts";
import { ownSecrets } from "./gateway-config.ts";
import { ConfigError } from "./config-error.ts";

/** The secrets of this deployment that registry entries may name. */
export interface NamedSecrets extends Pick<AllowedPlaces, "secretHosts"> {
  /** The value of a secret or variable, or the binding of a Secrets Store. */
  readonly valueOf: (name: string) => unknown;
}

/** A secret that the worker can read again while it runs, for example through a Secrets Store binding. */
export interface StoredSecret {
  readonly name: string;
  /** Throws when the secret does not exist. */
  read(): Promise<Secret>;
}

/**
 * The secret that a registry entry names. Throws an error with its name in three cases: the deployment does
 * not have it, SECRET_HOSTS does not allow it for one of these addresses, or it is one of the gateway's own
 * secrets (the entry would make the gateway send it to a server).
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

/** A binding that sends requests with a client certificate, or into a private network. */
export interface CertifiedFetch {
  fetch(url: string, init: RequestInit): Promise<Response>;
}

/**
 * The binding that a registry entry names: `mtls_certificates` or `vpc_services` of the gateway. Throws an
 * error with its name if the deployment does not have it, or SECRET_HOSTS does not allow it for this address:
 * an entry alone must not send a request to a binding that is another worker.
 */
export function namedBinding(
  name: string,
  url: string,
  { valueOf, secretHosts }: NamedSecrets,
): CertifiedFetch {
  if (!isAt(url, secretHosts.get(name))) throw new ConfigError(name, "SECRET_HOSTS to say its host");
  const binding = valueOf(name);
  if (!isFetcher(binding)) throw new ConfigError(name, "a binding with a client certificate");
  return binding;
}

const isFetcher = (value: unknown): value is CertifiedFetch =>
  typeof value === "object" && value !== null && typeof Reflect.get(value, "fetch") === "function";

/** The secret's present value, from memory or from its store. */
export const currentValue = async (secret: Secret | StoredSecret): Promise<Secret> =>
  secret instanceof Secret ? secret : await secret.read();

function secretOf(name: string, value: unknown, expected: string): Secret {
  if (typeof value !== "string" || value === "") throw new ConfigError(name, expected);
  return new Secret(value);
}

const isStore = (value: unknown): value is { get(): Promise<unknown> } =>
  typeof value === "object" && value !== null && typeof Reflect.get(value, "get") === "function";
