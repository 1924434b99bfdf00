import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import * as z from "zod";
import { Secret } from "#kernel/secret";
import { jsonSetting } from "#platform/config/json-setting";
import { keyId, parseVerifierKey, signatureTypes, type Verifier } from "#ledger/tlog/signed-note";

/** Variables and secrets of the witness worker, in wrangler's form. */
export interface WitnessEnv {
  readonly WITNESS_NAME: string;
  readonly WITNESSED_LOGS: unknown; // verifier keys, as an array or as its JSON
  readonly WITNESS_KEY: string;
}

export interface WitnessConfig {
  /** Name, key id and public key of its cosignatures. */
  readonly cosigner: Verifier;
  readonly key: Secret<KeyObject>;
  /** The keys of the logs that it cosigns; a log may have several. */
  readonly logs: readonly Verifier[];
}

const privateJwk = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string(),
  d: z.string(),
});

/** Reads the configuration. Throws an error that names the wrong key, never its value. */
export function readWitnessConfig(env: WitnessEnv): WitnessConfig {
  // A signed-note key name: not empty, no space, no plus sign.
  if (typeof env.WITNESS_NAME !== "string" || !/^[a-z0-9./-]{1,200}$/.test(env.WITNESS_NAME))
    bad("WITNESS_NAME");
  const { key, publicKey } = readKey(env.WITNESS_KEY);
  const cosigner = {
    name: env.WITNESS_NAME,
    id: keyId(env.WITNESS_NAME, publicKey, signatureTypes.cosignature),
    publicKey,
  };
  return { cosigner, key, logs: readLogs(env.WITNESSED_LOGS) };
}

function readLogs(value: unknown): Verifier[] {
  const texts = z.array(z.string()).min(1).max(1000).safeParse(jsonSetting(value));
  if (!texts.success) return bad("WITNESSED_LOGS: an array of verifier keys");
  return texts.data.map((text) => {
    const verifier = parseVerifierKey(text);
    return verifier.ok ? verifier.value : bad("WITNESSED_LOGS: an array of verifier keys");
  });
}

function readKey(text: unknown): { readonly key: Secret<KeyObject>; readonly publicKey: Uint8Array } {
  const jwk = privateJwk.safeParse(jsonSetting(text));
  if (!jwk.success) return bad("WITNESS_KEY");
  try {
    const key = createPrivateKey({ key: jwk.data, format: "jwk" });
    const { x = "" } = createPublicKey(key).export({ format: "jwk" });
    return { key: new Secret(key), publicKey: new Uint8Array(Buffer.from(x, "base64url")) };
  } catch {
    return bad("WITNESS_KEY"); // the error of the crypto library could show the key
  }
}

function bad(what: string): never {
  throw new Error(`configuration: ${what}`);
}
