import { readAlertWebhook } from "./alert-webhook.ts";
import { hosts } from "./allowed-places.ts";
import { ConfigError } from "./config-error.ts";
import { readConsoleSettings } from "./console-config.ts";
import { httpsOrigin } from "./core-config.ts";
import { keyList } from "./key-list-setting.ts";
import { describeConfiguration, type VariableForms } from "#platform/describe-configuration";
import type { PlacementVariables } from "#platform/ledger/placement";
import { readLedgerPlacement } from "#platform/ledger/config";

const approvals = ["one-person", "two-persons"] as const;

/** No default: a deployment says whether one person may open access. */
function readApprovals(text: string): (typeof approvals)[number] {
  const read = approvals.find((each) => each === text);
  if (read === undefined) throw new ConfigError("APPROVALS", approvals.join(" or "));
  return read;
}

// ALERT_WEBHOOK is left out: its path or query may be a credential.
const variableForms = {
  OPS_URL: "plain",
  APPROVALS: "plain",
  LEDGER_SHARDS: "plain",
  LEDGER_REGIONS: "plain",
  LEDGER_JURISDICTION: "plain",
  IDENTITY_HOSTS: "plain",
  DPOP_NONCE_KEY: "random key",
  CONSOLE_SESSION_KEY: "random key",
  CONSOLE: "plain",
  VERSION: "plain",
} as const satisfies VariableForms;

type Variable = keyof typeof variableForms;
type OpsVariables = PlacementVariables &
  Readonly<Record<Exclude<Variable, keyof PlacementVariables | "CONSOLE" | "VERSION">, string>> & {
    /** A deployment from before the console lacks it. */
    readonly CONSOLE?: string;
    /** A deployment from before the alerts lacks it. */
    readonly ALERT_WEBHOOK?: string;
  };

/**
 * The configuration of the operators' worker, read once in each isolate. Throws an error that names the wrong key,
 * never its value.
 */
export function opsConfig(env: OpsVariables) {
  return {
    /** `https://host[:port]` without a trailing slash: the audience of operators' tokens. */
    url: httpsOrigin("OPS_URL", env.OPS_URL),
    /** Whether an act that opens access needs a second person. */
    approvals: readApprovals(env.APPROVALS),
    placement: readLedgerPlacement(env),
    /** `host` or `host:port`: only these servers may be asked for an issuer's keys. */
    identityHosts: hosts(env.IDENTITY_HOSTS),
    /** Equal in every location. */
    dpopNonceKeys: keyList("DPOP_NONCE_KEY", env.DPOP_NONCE_KEY),
    /** They seal the console's sessions and nothing else: a thief of the nonces' key forges no sign-in. */
    consoleSessionKeys: keyList("CONSOLE_SESSION_KEY", env.CONSOLE_SESSION_KEY),
    /** Undefined: alerts are posted to no receiver. */
    alertWebhook: readAlertWebhook(env.ALERT_WEBHOOK),
    /** Undefined: there is no console. */
    console: readConsoleSettings(env.CONSOLE ?? ""),
    /** The worker's full configuration, as its record describes it. */
    described: () => describeConfiguration("ops", env, variableForms, "DPOP_NONCE_KEY"),
  };
}
