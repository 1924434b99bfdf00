import { Secret } from "#kernel/secret";
import { ConfigError } from "./config-error.ts";
import { coreConfig, coreVariables, keySet, type CoreVariables } from "./core-config.ts";
import { traceCollector } from "./trace-setting.ts";
import { describeConfiguration, type VariableForms } from "#platform/describe-configuration";

const variableForms = {
  ...coreVariables,
  ACCOUNTING: "plain",
  TRACES: "plain",
  TOKEN_SIGNING_KEY: "private key",
  RESPONSE_SIGNING_KEY: "private key",
  RESPONSE_VERIFICATION_KEYS: "public keys",
} as const satisfies VariableForms;

/** The variables that are read here: `ACCOUNTING` is read in accounting-config. */
type GatewayVariables = CoreVariables &
  Readonly<
    Record<"TRACES" | "TOKEN_SIGNING_KEY" | "RESPONSE_SIGNING_KEY" | "RESPONSE_VERIFICATION_KEYS", string>
  >;

/**
 * The own secrets of the Workers that hold secrets of origins. An origin's entry must not name any of them as its bearer
 * token, because it would be sent to that origin.
 */
export const ownSecrets: ReadonlySet<string> = new Set([
  ...Object.entries(variableForms).flatMap(([name, form]) =>
    form === "private key" || form === "random key" ? [name] : [],
  ),
  "CODES_KEY",
]);

/** The gateway's configuration, read once in each isolate. */
export function gatewayConfig(env: GatewayVariables) {
  if (!env.TOKEN_SIGNING_KEY) throw new ConfigError("TOKEN_SIGNING_KEY", "a private JWK");
  if (!env.RESPONSE_SIGNING_KEY) throw new ConfigError("RESPONSE_SIGNING_KEY", "a private JWK");
  // A key has a single use (NIST SP 800-57 part 1 §5.2): a resource server's signature must never pass for
  // an issuer's signature.
  if (env.RESPONSE_SIGNING_KEY === env.TOKEN_SIGNING_KEY)
    throw new ConfigError("RESPONSE_SIGNING_KEY", "a key of its own");
  return {
    ...coreConfig(env),
    /** A private JWK in JSON (ES256 or Ed25519). */
    tokenSigningKey: new Secret(env.TOKEN_SIGNING_KEY),
    /** A private JWK for the answers that a grant wants signed: never the key that signs tokens. */
    responseSigningKey: new Secret(env.RESPONSE_SIGNING_KEY),
    /** Further public keys for answers, published with its public half. */
    responseVerificationKeys: keySet("RESPONSE_VERIFICATION_KEYS", env.RESPONSE_VERIFICATION_KEYS),
    traces: traceCollector(env.TRACES),
    /** The worker's full configuration, as its record describes it. */
    described: () => describeConfiguration("gateway", env, variableForms, "DPOP_NONCE_KEY"),
  };
}
