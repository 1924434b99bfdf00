import { generateKeyPairSync } from "node:crypto";
import { ROOT_LOG } from "#ledger/root-log";
import { parseVerifierKey, verifierKey } from "#ledger/tlog/signed-note";
import { ledger } from "./worker.ts";

/** The ledger's checkpoint key and the key that replaces it (private JWKs), and the public half of the new key. */
export const oldKey: object = JSON.parse(ledger.CHECKPOINT_KEY);
export const newKey = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
export const newPublic = new Uint8Array(Buffer.from(newKey.x ?? "", "base64url"));

/** The variable of a deployment with these keys. */
export const keysOf = (...keys: readonly object[]) => ({ CHECKPOINT_KEY: JSON.stringify(keys) });

/** The verifier of the root log that accepts each of these public keys. */
export function verifierOfText(...keys: readonly Uint8Array[]) {
  const text = keys.map((key) => verifierKey(`ledger.test/${ROOT_LOG}`, key)).join(" ");
  const read = parseVerifierKey(text);
  if (!read.ok) throw new Error(text);
  return read.value;
}
