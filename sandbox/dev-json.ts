import { createPublicKey } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { JWK } from "jose";
import { instant } from "#kernel/clock";
import { openLogs } from "#ledger/log-name";
import { ROOT_LOG } from "#ledger/root-log";
import { signatureTypes, verifierKey } from "#ledger/tlog/signed-note";
import { publicHalf, writeWhole } from "./keys.ts";

/** The facts about the ledger in `dev.json`. */
export interface DevLedger {
  readonly ledgerName: string;
  readonly shards: number;
  readonly checkpointKey: JWK;
}

interface PublicKeys {
  readonly root?: string;
  readonly witnesses?: Readonly<Record<string, string>>;
}

const lookMilliseconds = 30_000;

/**
 * Writes `<state>/dev.json`, and writes it again when a log is opened; removes it at the end. `logs` lists
 * every log that took records in this state or takes some now, with the key of its checkpoints: a receipt of
 * any of these logs may need a check. `<state>/keys.json` has the public keys alone and stays at the end, for
 * checks offline.
 */
export function keepDevFile<T extends object>(state: string, content: T & PublicKeys, ledger: DevLedger) {
  const file = join(state, "dev.json");
  const kept = join(state, "logs.json");
  const publicKeys = join(state, "keys.json");
  // the array that is written below
  const names = new Set(existsSync(kept) ? (JSON.parse(readFileSync(kept, "utf8")) as string[]) : []);
  const dev = { ...content, ledgerName: ledger.ledgerName, logs: {} as Readonly<Record<string, string>> };
  const renew = () => {
    const open = openLogs(ledger.shards, instant(Date.now()));
    if (open.every((log) => log in dev.logs)) return;
    for (const log of open) names.add(log); // a half-year begins: its logs join the list, the old logs stay
    dev.logs = verifierKeys(ledger, names);
    writeWhole(kept, JSON.stringify([...names]));
    writeWhole(file, `${JSON.stringify(dev, undefined, 2)}\n`);
    const { root, witnesses }: PublicKeys = content;
    writeWhole(publicKeys, `${JSON.stringify({ logs: dev.logs, root, witnesses }, undefined, 2)}\n`);
  };
  renew();
  const renewing = setInterval(renew, lookMilliseconds);
  const close = async () => {
    clearInterval(renewing);
    rmSync(file, { force: true });
  };
  return { dev, close };
}

/** Log name to the verifier key of its checkpoints. */
export function verifierKeys(
  { ledgerName, checkpointKey }: DevLedger,
  names: Iterable<string>,
): Record<string, string> {
  const publicKey = publicBytes(checkpointKey);
  return Object.fromEntries(
    Array.from(names, (log) => [log, verifierKey(`${ledgerName}/${log}`, publicKey)]),
  );
}

/** The verifier key of the root log. It verifies every log of the ledger, also the logs that begin later. */
export const rootKey = ({ ledgerName, checkpointKey }: Omit<DevLedger, "shards">): string =>
  verifierKey(`${ledgerName}/${ROOT_LOG}`, publicBytes(checkpointKey));

/** The verifier key of a witness's cosignatures. */
export const witnessKey = (name: string, key: JWK): string =>
  verifierKey(name, publicBytes(key), signatureTypes.cosignature);

function publicBytes(jwk: JWK): Uint8Array {
  const { x = "" } = createPublicKey({ key: { ...publicHalf(jwk) }, format: "jwk" }).export({
    format: "jwk",
  });
  return new Uint8Array(Buffer.from(x, "base64url"));
}
