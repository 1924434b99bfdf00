import { publicJwks, type PublicJwk } from "#identity/jose/jwk";
import { mustFit } from "#kernel/value-shape";
import { allowedPlaces, type PlaceVariables } from "./allowed-places.ts";
import { ConfigError } from "./config-error.ts";
import { keyList } from "./key-list-setting.ts";
import { type PlacementVariables, readPlacement } from "#platform/ledger/placement";
import type { VariableForms } from "#platform/describe-configuration";

/** The variables and secrets of the core, which each Worker that bundles it has. */
export const coreVariables = {
  PUBLIC_URL: "plain",
  MTLS_URL: "plain",
  LEDGER_SHARDS: "plain",
  LEDGER_REGIONS: "plain",
  LEDGER_JURISDICTION: "plain",
  LEDGER_SPREAD: "plain",
  ORIGIN_HOSTS: "plain",
  IDENTITY_HOSTS: "plain",
  SECRET_HOSTS: "plain",
  TOKEN_VERIFICATION_KEYS: "public keys",
  PAGING_KEY: "random key",
  DPOP_NONCE_KEY: "random key",
  VERSION: "plain",
} as const satisfies VariableForms;

/** `VERSION` is only recorded. */
export type CoreVariables = PlaceVariables &
  PlacementVariables &
  Readonly<Record<Exclude<keyof typeof coreVariables, keyof PlacementVariables | "VERSION">, string>>;

/** The configuration of the core, read once in each isolate. Throws {@link ConfigError}. */
export function coreConfig(env: CoreVariables) {
  const publicUrl = httpsOrigin("PUBLIC_URL", env.PUBLIC_URL);
  const placement = readPlacement(env, (variable, expected) => {
    throw new ConfigError(variable, expected);
  });
  return {
    /** `https://host[:port]` without a trailing slash. */
    publicUrl,
    placement,
    /** Records cannot be spread over more shards than there are. */
    ledgerSpread: Math.min(count("LEDGER_SPREAD", env.LEDGER_SPREAD), placement.layout.shards),
    allowed: allowedPlaces(env),
    /** Public keys of the built-in issuer: in the gateway besides its signing key, elsewhere all. */
    tokenVerificationKeys: keySet("TOKEN_VERIFICATION_KEYS", env.TOKEN_VERIFICATION_KEYS),
    /**
     * The URL of the host that asks for client certificates, where `publicUrl` does not. Its form is that of
     * `publicUrl`.
     */
    mtlsUrl: env.MTLS_URL === "" ? undefined : httpsOrigin("MTLS_URL", env.MTLS_URL),
    pagingKeys: keyList("PAGING_KEY", env.PAGING_KEY),
    /** Equal in every location. */
    dpopNonceKeys: keyList("DPOP_NONCE_KEY", env.DPOP_NONCE_KEY),
  };
}

export function httpsOrigin(key: string, text: string): string {
  const url = URL.parse(text);
  if (url?.protocol !== "https:" || url.origin !== text)
    throw new ConfigError(key, "https://host[:port] without a path");
  return text;
}

export function keySet(key: string, text: string): readonly PublicJwk[] {
  if (text === "") return [];
  try {
    return mustFit(publicJwks(JSON.parse(text))).keys;
  } catch {
    throw new ConfigError(key, "a JWKS of public keys");
  }
}

function count(key: string, text: string): number {
  if (!/^[1-9][0-9]{0,3}$/u.test(text)) throw new ConfigError(key, "a whole number from 1 to 9999");
  return Number(text);
}
