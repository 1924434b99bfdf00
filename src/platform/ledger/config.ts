import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import * as z from "zod";
import { type KeyList, readKeyList } from "#kernel/key-list";
import { Secret } from "#kernel/secret";
import type { Configuration } from "#audit/event";
import { isLedgerName } from "#ledger/ledger-name";
import { type Verifier, verifierOfKeys } from "#ledger/tlog/signed-note";
import { jsonSetting } from "#platform/config/json-setting";
import { describeConfiguration, type VariableForms } from "#platform/describe-configuration";
import { type LedgerPlacement, type PlacementVariables, readPlacement } from "./placement.ts";

/** Variables and secrets of the ledger worker, in wrangler's form. */
export interface LedgerEnv extends PlacementVariables {
  readonly LEDGER_NAME: string;
  readonly LEDGER_KEEP_MIB: string;
  readonly LEDGER_SETTLE_SECONDS: string;
  readonly AUDITOR_KEYS: unknown; // a JWK set, as an object or as its JSON
  readonly CHECKPOINT_KEY: string;
  readonly ACCOUNTING_KEY: string;
  readonly SUBJECT_KEY: string;
}

/** A public key that data keys are wrapped to. Only the auditor has its private half. */
export interface AuditorKey {
  readonly kid: string;
  readonly jwk: { readonly kty: string; readonly crv: string; readonly x: string; readonly y?: string };
}

/** A further key of the ledger's signer. */
export interface FurtherCheckpointKey {
  /** Undefined: a public half, for checkpoints that were signed before. */
  readonly key: Secret<KeyObject> | undefined;
  readonly publicKey: Uint8Array; // 32 bytes
}

export interface LedgerConfig extends LedgerPlacement {
  /** First part of every origin line; it is never the listening URL. */
  readonly name: string;
  readonly shards: number;
  readonly retainBytes: number; // of frames that are in R2 and still stay in each log's object
  // at most this long after a record, its copy is in R2 and its checkpoint in the root log
  readonly settleMilliseconds: number;
  readonly auditors: readonly AuditorKey[];
  /** Signs checkpoints, and alone the checkpoints that become leaves of the root log. */
  readonly checkpointKey: Secret<KeyObject>;
  readonly checkpointPublicKey: Uint8Array; // 32 bytes
  /** While the key is replaced: keys that sign published checkpoints too, or that signed earlier ones. */
  readonly furtherCheckpointKeys: readonly FurtherCheckpointKey[];
  readonly accountingKeys: KeyList;
  /** The subject key in use, and earlier keys: lines of six years are found by each of them. */
  readonly subjectKeys: KeyList;
  /** The worker's full configuration, as its record describes it. */
  readonly described: () => Configuration;
}

const variableForms = {
  LEDGER_NAME: "plain",
  LEDGER_SHARDS: "plain",
  LEDGER_REGIONS: "plain",
  LEDGER_JURISDICTION: "plain",
  LEDGER_KEEP_MIB: "plain",
  LEDGER_SETTLE_SECONDS: "plain",
  AUDITOR_KEYS: "public keys",
  WITNESSES: "plain", // their public keys
  CHECKPOINT_KEY: "private keys",
  ACCOUNTING_KEY: "random key",
  SUBJECT_KEY: "random key",
  VERSION: "plain",
} as const satisfies VariableForms & Record<keyof LedgerEnv, unknown>;

const AUDITORS_MAX = 16; // the key-epoch leaf of 16 recipients is about 7 KB
const coordinate = z.string().regex(/^[A-Za-z0-9_-]{42,88}$/);
// Strict: a JWK with a private part must never be in a variable, and is refused.
const auditorKeys = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        kid: z.string().min(1).max(128),
        kty: z.enum(["EC", "OKP"]),
        crv: z.enum(["P-256", "P-384", "P-521", "X25519"]),
        x: coordinate,
        y: coordinate.optional(),
        use: z.literal("enc").optional(),
        alg: z.literal("ECDH-ES+A256KW").optional(),
      }),
    )
    .min(2)
    .max(AUDITORS_MAX)
    .refine(
      (keys) =>
        new Set(keys.map((key) => key.x)).size === keys.length &&
        new Set(keys.map((key) => key.kid)).size === keys.length,
    ),
});
const privateJwk = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string(),
  d: z.string(),
});

// Strict: a private key with a fault must not pass for a public half.
const publicJwk = z.strictObject({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string(),
  kid: z.string().optional(),
  alg: z.string().optional(),
  use: z.string().optional(),
});

/** Reads the configuration. Throws an error that names the wrong key, never its value. */
export function readLedgerConfig(env: LedgerEnv): LedgerConfig {
  const placement = readLedgerPlacement(env);
  if (typeof env.LEDGER_NAME !== "string" || !isLedgerName(env.LEDGER_NAME)) bad("LEDGER_NAME");
  const auditors = auditorKeys.safeParse(jsonSetting(env.AUDITOR_KEYS));
  if (!auditors.success)
    return bad(
      "AUDITOR_KEYS: a JWK set of at least two public keys (P-256, P-384, P-521, X25519) with different kids",
    );
  return {
    name: env.LEDGER_NAME,
    ...placement,
    shards: placement.layout.shards,
    retainBytes: readRetainMebibytes(env) * 1_048_576,
    settleMilliseconds: readSettleSeconds(env) * 1_000,
    auditors: auditors.data.keys.map(({ kid, kty, crv, x, y }) => ({
      kid,
      jwk: y === undefined ? { kty, crv, x } : { kty, crv, x, y },
    })),
    ...checkpointKeys(jsonSetting(env.CHECKPOINT_KEY)),
    accountingKeys: readAccountingKeys(env),
    subjectKeys: readSubjectKeys(env.SUBJECT_KEY),
    // auditors have the subject key, so it protects nothing from them
    described: () => describeConfiguration("ledger", env, variableForms, "ACCOUNTING_KEY"),
  };
}

function readRetainMebibytes({ LEDGER_KEEP_MIB }: LedgerEnv): number {
  // An object stores 10 GB; from 8 GB on a log reports that it is degraded (ledger/flush).
  return typeof LEDGER_KEEP_MIB === "string" &&
    /^(?:0|[1-9]\d{0,3})$/.test(LEDGER_KEEP_MIB) &&
    Number(LEDGER_KEEP_MIB) <= 4_096
    ? Number(LEDGER_KEEP_MIB)
    : bad("LEDGER_KEEP_MIB: mebibytes, 0 to 4096");
}

function readSettleSeconds({ LEDGER_SETTLE_SECONDS }: LedgerEnv): number {
  // A copy itself takes some seconds, and is promised within 60 s of a record. Each object's alarm is a
  // write: a shorter period costs more.
  return typeof LEDGER_SETTLE_SECONDS === "string" &&
    /^[1-9]\d?$/.test(LEDGER_SETTLE_SECONDS) &&
    Number(LEDGER_SETTLE_SECONDS) <= 50
    ? Number(LEDGER_SETTLE_SECONDS)
    : bad("LEDGER_SETTLE_SECONDS: seconds, 1 to 50");
}

/**
 * The keys that accounting lines are sealed under, in shards and on shelves. Throws like `readLedgerConfig`.
 */
export const readAccountingKeys = ({ ACCOUNTING_KEY }: Pick<LedgerEnv, "ACCOUNTING_KEY">): KeyList =>
  (typeof ACCOUNTING_KEY === "string" ? readKeyList(ACCOUNTING_KEY) : undefined) ??
  bad("ACCOUNTING_KEY: one to eight keys of 32 bytes, base64url");

/** Reads the place of the ledger's objects. Throws like `readLedgerConfig`. */
export const readLedgerPlacement = (env: PlacementVariables): LedgerPlacement =>
  readPlacement(env, (variable, expected) => bad(`${variable}: ${expected}`));

/** The verifier of a log's checkpoint key, under the log's own name. */
export const signerOf = (config: LedgerConfig, origin: string): Verifier =>
  verifierOfKeys(origin, config.checkpointPublicKey, config.furtherCheckpointKeys);

const CHECKPOINT_KEYS_MAX = 8;

/**
 * A private JWK, or while it is replaced an array of JWKs: the first is private and signs alone what stands in the
 * root log; further private keys sign too, and public halves only verify.
 */
function checkpointKeys(
  value: unknown,
): Pick<LedgerConfig, "checkpointKey" | "checkpointPublicKey" | "furtherCheckpointKeys"> {
  const read = z
    .array(z.union([privateJwk, publicJwk]))
    .min(1)
    .max(CHECKPOINT_KEYS_MAX)
    .safeParse(Array.isArray(value) ? value : [value]);
  const [first, ...further] = read.success ? read.data.map(checkpointKeyOf) : [];
  if (first === undefined)
    return bad("CHECKPOINT_KEY: an Ed25519 private JWK, or an array of one to eight Ed25519 JWKs");
  if (first.key === undefined) return bad("CHECKPOINT_KEY: the first key must be private (d)");
  const all = [first, ...further].map(({ publicKey }) => Buffer.from(publicKey).toString("hex"));
  if (new Set(all).size !== all.length) return bad("CHECKPOINT_KEY: a key is listed twice");
  return {
    checkpointKey: first.key,
    checkpointPublicKey: first.publicKey,
    furtherCheckpointKeys: further,
  };
}

function checkpointKeyOf(jwk: z.infer<typeof privateJwk> | z.infer<typeof publicJwk>): FurtherCheckpointKey {
  try {
    // computed from the private part, if there is one: a wrong x has no effect then
    const key = "d" in jwk ? createPrivateKey({ key: jwk, format: "jwk" }) : undefined;
    const { kty, crv } = jwk;
    const half = createPublicKey(key ?? { key: { kty, crv, x: jwk.x }, format: "jwk" });
    const { x = "" } = half.export({ format: "jwk" });
    const publicKey = new Uint8Array(Buffer.from(x, "base64url"));
    return { key: key && new Secret(key), publicKey };
  } catch {
    return bad("CHECKPOINT_KEY: not an Ed25519 key"); // the error of the crypto library could show the key
  }
}

const readSubjectKeys = (text: unknown): KeyList =>
  (typeof text === "string" ? readKeyList(text) : undefined) ??
  bad("SUBJECT_KEY: one to eight keys of 32 bytes, base64url");

function bad(what: string): never {
  throw new Error(`configuration: ${what}`);
}
