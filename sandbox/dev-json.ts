import { createPublicKey } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { JWK } from "jose";
import { instant } from "#kernel/clock";
import { openLogs } from "#ledger/log-name";
import { ROOT_LOG } from "#ledger/root-log";
import { signatureTypes, verifierKey } from "#ledger/signed-note";
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
  const publicKey = publicBytes(checkpointKey);
  return Object.fromEntries(openLogs(shards, instant(Date.now())).map((log) => [log, verifierKey(`${ledgerName}/${log}`, publicKey)]));
}

/** The verifier key of the root log: what verifies every log of the ledger, also those that begin later. */
export const rootKey = ({ ledgerName, checkpointKey }: Omit<DevLedger, "shards">): string =>
  verifierKey(`${ledgerName}/${ROOT_LOG}`, publicBytes(checkpointKey));

/** The verifier key of a witness's cosignatures. */
export const witnessKey = (name: string, key: JWK): string => verifierKey(name, publicBytes(key), signatureTypes.cosignature);

function publicBytes(jwk: JWK): Uint8Array {
  const { x = "" } = createPublicKey({ key: { ...publicHalf(jwk) }, format: "jwk" }).export({ format: "jwk" });
  return new Uint8Array(Buffer.from(x, "base64url"));
}
