import type { Configuration } from "#audit/event";
import { publicJwks, type PublicJwk } from "#identity/jose/jwk";
import { type KeyList, readKeyList } from "#kernel/key-list";
import { Secret } from "#kernel/secret";
import { allowedPlaces, type AllowedPlaces, type PlaceVariables } from "./allowed-places.ts";
import { ConfigError } from "./config-error.ts";
import { type LedgerPlacement, type PlacementVariables, readPlacement } from "#platform/ledger/placement";
import { describeConfiguration, type VariableForms } from "#platform/describe-configuration";

/** The gateway's configuration, read once in each isolate. */
export interface GatewayConfig {
  /** `https://host[:port]` without a trailing slash. */
  readonly publicUrl: string;
  readonly placement: LedgerPlacement;
  readonly ledgerSpread: number;
  readonly allowed: AllowedPlaces;
  /** A private JWK in JSON (ES256 or Ed25519). */
  readonly tokenSigningKey: Secret;
  /** Further public keys that signed until lately or will sign soon. */
  readonly tokenVerificationKeys: readonly PublicJwk[];
  /** A private JWK for the answers that a grant wants signed: never the key that signs tokens. */
  readonly responseSigningKey: Secret;
  /** Further public keys for answers, published with its public half. */
  readonly responseVerificationKeys: readonly PublicJwk[];
  /**
   * The URL of the host that asks for client certificates, where `publicUrl` does not. Its form is that of
   * `publicUrl`.
   */
  readonly mtlsUrl: string | undefined;
  readonly pagingKeys: KeyList;
  /** Equal in every location. */
  readonly dpopNonceKeys: KeyList;
  /** The worker's full configuration, as its record describes it. */
  readonly described: () => Configuration;
}

/**
 * The gateway's own secrets (wrangler.toml). An origin's entry must not name any of them as its bearer
 * token, because the gateway would send it to that origin.
 */
export const ownSecrets: ReadonlySet<string> = new Set([
  "TOKEN_SIGNING_KEY",
  "RESPONSE_SIGNING_KEY",
  "PAGING_KEY",
  "DPOP_NONCE_KEY",
]);

interface GatewayVariables extends PlaceVariables, PlacementVariables {
  readonly PUBLIC_URL: string;
  readonly LEDGER_SPREAD: string;
  readonly TOKEN_SIGNING_KEY: string;
  readonly TOKEN_VERIFICATION_KEYS: string;
  readonly RESPONSE_SIGNING_KEY: string;
  readonly RESPONSE_VERIFICATION_KEYS: string;
  readonly MTLS_URL: string;
  readonly PAGING_KEY: string;
  readonly DPOP_NONCE_KEY: string;
}

const variableForms = {
  PUBLIC_URL: "plain",
  MTLS_URL: "plain",
  LEDGER_SHARDS: "plain",
  LEDGER_REGIONS: "plain",
  LEDGER_JURISDICTION: "plain",
  LEDGER_SPREAD: "plain",
  ORIGIN_HOSTS: "plain",
  IDENTITY_HOSTS: "plain",
  SECRET_HOSTS: "plain",
  ACCOUNTING: "plain",
  TOKEN_SIGNING_KEY: "private key",
  TOKEN_VERIFICATION_KEYS: "public keys",
  RESPONSE_SIGNING_KEY: "private key",
  RESPONSE_VERIFICATION_KEYS: "public keys",
  PAGING_KEY: "random key",
  DPOP_NONCE_KEY: "random key",
  VERSION: "plain",
} as const satisfies VariableForms & Record<keyof GatewayVariables, unknown>;

export function gatewayConfig(env: GatewayVariables): GatewayConfig {
  const publicUrl = httpsOrigin("PUBLIC_URL", env.PUBLIC_URL);
  const placement = readPlacement(env, (variable, expected) => {
    throw new ConfigError(variable, expected);
  });
  // Records cannot be spread over more shards than there are.
  const ledgerSpread = Math.min(count("LEDGER_SPREAD", env.LEDGER_SPREAD), placement.layout.shards);
  if (!env.TOKEN_SIGNING_KEY) throw new ConfigError("TOKEN_SIGNING_KEY", "a private JWK");
  if (!env.RESPONSE_SIGNING_KEY) throw new ConfigError("RESPONSE_SIGNING_KEY", "a private JWK");
  // A key has a single use (NIST SP 800-57 part 1 §5.2): a resource server's signature must never pass for
  // an issuer's signature.
  if (env.RESPONSE_SIGNING_KEY === env.TOKEN_SIGNING_KEY)
    throw new ConfigError("RESPONSE_SIGNING_KEY", "a key of its own");
  return {
    publicUrl,
    placement,
    ledgerSpread,
    allowed: allowedPlaces(env),
    tokenSigningKey: new Secret(env.TOKEN_SIGNING_KEY),
    tokenVerificationKeys: keySet("TOKEN_VERIFICATION_KEYS", env.TOKEN_VERIFICATION_KEYS),
    responseSigningKey: new Secret(env.RESPONSE_SIGNING_KEY),
    responseVerificationKeys: keySet("RESPONSE_VERIFICATION_KEYS", env.RESPONSE_VERIFICATION_KEYS),
    mtlsUrl: env.MTLS_URL === "" ? undefined : httpsOrigin("MTLS_URL", env.MTLS_URL),
    pagingKeys: keyList("PAGING_KEY", env.PAGING_KEY),
    dpopNonceKeys: keyList("DPOP_NONCE_KEY", env.DPOP_NONCE_KEY),
    described: () => describeConfiguration("gateway", env, variableForms, "DPOP_NONCE_KEY"),
  };
}

export function httpsOrigin(key: string, text: string): string {
  const url = URL.parse(text);
  if (url?.protocol !== "https:" || url.origin !== text)
    throw new ConfigError(key, "https://host[:port] without a path");
  return text;
}

function keySet(key: string, text: string): readonly PublicJwk[] {
  if (text === "") return [];
  try {
    return publicJwks.parse(JSON.parse(text)).keys;
  } catch {
    throw new ConfigError(key, "a JWKS of public keys");
  }
}

function count(key: string, text: string): number {
  if (!/^[1-9][0-9]{0,3}$/u.test(text)) throw new ConfigError(key, "a whole number from 1 to 9999");
  return Number(text);
}

/** Reads `NEW OLD …`: docs/keys.md. */
export function keyList(key: string, text: string): KeyList {
  const keys = readKeyList(text);
  if (keys === undefined) throw new ConfigError(key, "32 random bytes in base64url");
  return keys;
}
