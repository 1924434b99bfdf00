import { coreConfig, coreVariables, type CoreVariables } from "./core-config.ts";
import { describeConfiguration, type VariableForms } from "#platform/describe-configuration";

const variableForms = {
  ...coreVariables,
  DEID_CHECK: "plain",
  CODES_KEY: "random key",
} as const satisfies VariableForms;

/** The configuration of `jobs`, read once in each isolate. It has public keys alone of the built-in issuer. */
export const jobsConfig = (env: CoreVariables) => ({
  ...coreConfig(env),
  /** The worker's full configuration, as its record describes it. */
  described: () => describeConfiguration("jobs", env, variableForms, "DPOP_NONCE_KEY"),
});
