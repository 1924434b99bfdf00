import type { Configuration } from "#audit/event";
import type { KeyList } from "#kernel/key-list";
import { hosts } from "./allowed-places.ts";
import { ConfigError } from "./config-error.ts";
import { readConsoleSettings } from "./console-config.ts";
import { httpsOrigin, keyList } from "./gateway-config.ts";
import { describeConfiguration, type VariableForms } from "#platform/describe-configuration";
import type { LedgerPlacement, PlacementVariables } from "#platform/ledger/placement";
import { readLedgerPlacement } from "#platform/ledger/config";

/** The configuration of the operators' worker, read once in each isolate. */
export interface OpsConfig {
  /** `https://host[:port]` without a trailing slash: the audience of operators' tokens. */
  readonly url: string;
  /** Whether an act that opens access needs a second person. */
  readonly approvals: (typeof approvals)[number];
  readonly placement: LedgerPlacement;
  /** `host` or `host:port`: only these servers may be asked for an issuer's keys. */
  readonly identityHosts: ReadonlySet<string>;
  /** Equal in every location. */
  readonly dpopNonceKeys: KeyList;
  /** They seal the console's sessions and nothing else: a thief of the nonces' key forges no sign-in. */
  readonly consoleSessionKeys: KeyList;
  /** Undefined: there is no console. */
  readonly console: ReturnType<typeof readConsoleSettings>;
  /** The worker's full configuration, as its record describes it. */
  readonly described: () => Configuration;
}

const approvals = ["one-person", "two-persons"] as const;

/** No default: a deployment says whether one person may open access. */
function readApprovals(text: string): OpsConfig["approvals"] {
  const read = approvals.find((each) => each === text);
  if (read === undefined) throw new ConfigError("APPROVALS", approvals.join(" or "));
  return read;
}

interface OpsVariables extends PlacementVariables {
  readonly OPS_URL: string;
  readonly APPROVALS: string;
  readonly IDENTITY_HOSTS: string;
  readonly DPOP_NONCE_KEY: string;
  readonly CONSOLE_SESSION_KEY: string;
  /** A deployment from before the console lacks it. */
  readonly CONSOLE?: string;
}

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
} as const satisfies VariableForms & Record<keyof OpsVariables, unknown>;

/** Throws an error that names the wrong key, never its value. */
export function opsConfig(env: OpsVariables): OpsConfig {
  return {
    url: httpsOrigin("OPS_URL", env.OPS_URL),
    approvals: readApprovals(env.APPROVALS),
    placement: readLedgerPlacement(env),
    identityHosts: hosts(env.IDENTITY_HOSTS),
    dpopNonceKeys: keyList("DPOP_NONCE_KEY", env.DPOP_NONCE_KEY),
    consoleSessionKeys: keyList("CONSOLE_SESSION_KEY", env.CONSOLE_SESSION_KEY),
    console: readConsoleSettings(env.CONSOLE ?? ""),
    described: () => describeConfiguration("ops", env, variableForms, "DPOP_NONCE_KEY"),
  };
}
