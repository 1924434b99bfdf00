import { generateKeyPairSync, randomBytes } from "node:crypto";
import type { LedgerEnv } from "#platform/ledger/config";

export const benchLedgerName = "ledger.bench";
// Each round takes some of these logs, and the counting takes a few.
const benchShards = 64;

/** Variables and secrets of a throw-away ledger, new for each run. */
export function ledgerEnvironment() {
  const auditors = ["auditor-1", "auditor-2"].map((kid) => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    return Object.assign(publicKey.export({ format: "jwk" }), { kid });
  });
  const secret = (): string => randomBytes(32).toString("base64url");
  return {
    LEDGER_NAME: benchLedgerName,
    LEDGER_SHARDS: String(benchShards),
    LEDGER_KEEP_MIB: "256",
    LEDGER_SETTLE_SECONDS: "45",
    AUDITOR_KEYS: JSON.stringify({ keys: auditors }),
    CHECKPOINT_KEY: JSON.stringify(generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" })),
    ACCOUNTING_KEY: secret(),
    SUBJECT_KEY: secret(),
  } satisfies LedgerEnv;
}
