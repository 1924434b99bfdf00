import { publicJwks, type PublicJwk } from "#identity/jose/jwk";
import { mustFit } from "#kernel/value-shape";
import { Secret } from "#kernel/secret";
import { allowedPlaces, type PlaceVariables } from "./allowed-places.ts";
import { ConfigError } from "./config-error.ts";
import { keyList } from "./key-list-setting.ts";
import { type PlacementVariables, readPlacement } from "#platform/ledger/placement";
import { describeConfiguration, type VariableForms } from "#platform/describe-configuration";

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
} as const satisfies VariableForms;

type Variable = keyof typeof variableForms;
/** The variables that are read here: `VERSION` is only recorded, and `ACCOUNTING` is read in accounting-config. */
type GatewayVariables = PlaceVariables &
  PlacementVariables &
  Readonly<Record<Exclude<Variable, keyof PlacementVariables | "ACCOUNTING" | "VERSION">, string>>;

/**
 * The gateway's own secrets (wrangler.toml). An origin's entry must not name any of them as its bearer
 * token, because the gateway would send it to that origin.
 */
export const ownSecrets: ReadonlySet<string> = new Set(
  Object.entries(variableForms).flatMap(([name, form]) =>
    form === "private key" || form === "random key" ? [name] : [],
  ),
);

/** The gateway's configuration, read once in each isolate. */
export function gatewayConfig(env: GatewayVariables) {
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
    /** `https://host[:port]` without a trailing slash. */
    publicUrl,
    placement,
    ledgerSpread,
    allowed: allowedPlaces(env),
    /** A private JWK in JSON (ES256 or Ed25519). */
    tokenSigningKey: new Secret(env.TOKEN_SIGNING_KEY),
    /** Further public keys that signed until lately or will sign soon. */
    tokenVerificationKeys: keySet("TOKEN_VERIFICATION_KEYS", env.TOKEN_VERIFICATION_KEYS),
    /** A private JWK for the answers that a grant wants signed: never the key that signs tokens. */
    responseSigningKey: new Secret(env.RESPONSE_SIGNING_KEY),
    /** Further public keys for answers, published with its public half. */
    responseVerificationKeys: keySet("RESPONSE_VERIFICATION_KEYS", env.RESPONSE_VERIFICATION_KEYS),
    /**
     * The URL of the host that asks for client certificates, where `publicUrl` does not. Its form is that of
     * `publicUrl`.
     */
    mtlsUrl: env.MTLS_URL === "" ? undefined : httpsOrigin("MTLS_URL", env.MTLS_URL),
    pagingKeys: keyList("PAGING_KEY", env.PAGING_KEY),
    /** Equal in every location. */
    dpopNonceKeys: keyList("DPOP_NONCE_KEY", env.DPOP_NONCE_KEY),
    /** The worker's full configuration, as its record describes it. */
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
    return mustFit(publicJwks(JSON.parse(text))).keys;
  } catch {
    throw new ConfigError(key, "a JWKS of public keys");
  }
}

function count(key: string, text: string): number {
  if (!/^[1-9][0-9]{0,3}$/u.test(text)) throw new ConfigError(key, "a whole number from 1 to 9999");
  return Number(text);
}
