import type { OriginEntry } from "#registry/state";
import type { PublicJwk } from "#identity/jose/jwk";
import { Secret } from "#kernel/secret";
import { namedSecret } from "#platform/config/named-secret";
import { publicKeysOf } from "#platform/keys/client-assertion";
import type { OriginCredentials } from "./origin-address.ts";

/**
 * The public keys by which the gateway proves itself to an origin; undefined if it shows that origin no key. Throws when
 * the key cannot be read.
 */
export async function originKeys(
  { url, credentials }: OriginEntry,
  { secrets, bearers }: Pick<OriginCredentials, "secrets" | "bearers">,
): Promise<readonly PublicJwk[] | undefined> {
  if (credentials.kind !== "private_key_jwt") return undefined;
  const { secret: name, tokenEndpoint } = credentials;
  const secret = namedSecret(name, [url, tokenEndpoint], secrets, "a private JWK");
  // A store is read once a minute, however often the address is called.
  return publicKeysOf(secret instanceof Secret ? secret : await bearers(secret).current());
}
