import { createPublicKey } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { JWK } from "jose";
import { instant } from "#kernel/clock";
import { openLogs } from "#ledger/log-name";
import { verifierKey } from "#ledger/signed-note";
import { publicHalf, writeWhole } from "./keys.ts";

/** The ledger as far as `dev.json` names it. */
export interface DevLedger {
  readonly ledgerName: string;
  readonly shards: number;
  readonly checkpointKey: JWK;
}

const lookMilliseconds = 30_000;

/**
 * Writes `<state>/dev.json` (DESIGN §10), and again when a log is opened; removes it at the end. `logs` lists every log that takes
 * records, with the key that its checkpoints are checked with.
 */
export function keepDevFile<T extends object>(state: string, content: T, ledger: DevLedger) {
  const file = join(state, "dev.json");
  const logs = verifierKeys(ledger);
  const dev = { ...content, ledgerName: ledger.ledgerName, logs };
  const write = () => writeWhole(file, `${JSON.stringify(dev, undefined, 2)}\n`);
  write();
  const renewing = setInterval(() => {
    const now = verifierKeys(ledger);
    if (Object.keys(now).every((log) => log in logs)) return;
    Object.assign(logs, now); // a half-year begins: its logs join the list, the old ones stay
    write();
  }, lookMilliseconds);
  const close = async () => {
    clearInterval(renewing);
    rmSync(file, { force: true });
  };
  return { dev, close };
}

function verifierKeys({ ledgerName, shards, checkpointKey }: DevLedger): Record<string, string> {
  const { x = "" } = createPublicKey({ key: { ...publicHalf(checkpointKey) }, format: "jwk" }).export({ format: "jwk" });
  const publicKey = new Uint8Array(Buffer.from(x, "base64url"));
  return Object.fromEntries(openLogs(shards, instant(Date.now())).map((log) => [log, verifierKey(`${ledgerName}/${log}`, publicKey)]));
}
