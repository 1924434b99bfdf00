import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  type JsonWebKey,
} from "node:crypto";
import { ROOT_LOG } from "#ledger/root-log";
import { signatureTypes, verifierKey } from "#ledger/tlog/signed-note";

/** A private JWK with the members that the workers read. */
export interface PrivateJwk {
  readonly kty: string;
  readonly crv: string;
  readonly x: string;
  readonly y?: string;
  readonly d: string;
  readonly kid: string;
  readonly alg: string;
  readonly use: "sig" | "enc";
}

export type Worker = "gateway" | "control" | "ledger" | "guards" | "jobs" | "ops" | "witness";
/** How the value of a secret is made. `list`: `NEW OLD`, the first is used and each is accepted. */
export type SecretForm = "Ed25519" | "Ed25519 list" | "ES256" | "list";

/** The secrets of each worker, by name, as `wrangler secret bulk` needs them. */
export const workerSecrets: Readonly<Record<Worker, Readonly<Record<string, SecretForm>>>> = {
  gateway: {
    TOKEN_SIGNING_KEY: "ES256",
    RESPONSE_SIGNING_KEY: "ES256",
    PAGING_KEY: "list",
    DPOP_NONCE_KEY: "list",
  },
  control: { CONSENT_KEY: "list" },
  ledger: { CHECKPOINT_KEY: "Ed25519 list", ACCOUNTING_KEY: "list", SUBJECT_KEY: "list" },
  guards: {},
  jobs: { CODES_KEY: "list", PAGING_KEY: "list", DPOP_NONCE_KEY: "list" },
  ops: { DPOP_NONCE_KEY: "list", CONSOLE_SESSION_KEY: "list" },
  witness: { WITNESS_KEY: "Ed25519" },
};

/**
 * The secrets of the gateway that `jobs` has with the same values: it accepts the gateway's nonces, and the gateway opens
 * the links in an export's rows (ADR 144).
 */
export const sharedWithJobs: readonly string[] = ["PAGING_KEY", "DPOP_NONCE_KEY"];

/** The configuration of each worker, relative to the repository. */
export const workerConfigs: Readonly<Record<Worker, string>> = {
  gateway: "wrangler.toml",
  control: "workers/control/wrangler.toml",
  ledger: "workers/ledger/wrangler.toml",
  guards: "workers/guards/wrangler.toml",
  jobs: "workers/jobs/wrangler.toml",
  ops: "workers/ops/wrangler.toml",
  witness: "workers/witness/wrangler.toml",
};

/** The configuration of a worker: of an environment that `phylax deploy config` wrote, or the repository's own. */
export const configOf = (worker: Worker, environment: string | undefined): string =>
  environment === undefined || worker === "witness"
    ? workerConfigs[worker]
    : `deploy/${environment}/${worker}.json`;

/** 32 random bytes in base64url. */
const newRandom = (): string => randomBytes(32).toString("base64url");

/** A new private key. `kid` names its use and day, with random digits, so that two keys never share it. */
export function newPrivateJwk(alg: "ES256" | "Ed25519" | "ECDH-ES+A256KW", label: string): PrivateJwk {
  const { privateKey } =
    alg === "Ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("ec", { namedCurve: "P-256" });
  const day = new Date().toISOString().slice(0, 10).replaceAll("-", "");
  return {
    ...(privateKey.export({ format: "jwk" }) as Pick<PrivateJwk, "kty" | "crv" | "x" | "y" | "d">), // EC and OKP
    kid: `${label}-${day}-${randomBytes(4).toString("hex")}`,
    alg,
    use: alg === "ECDH-ES+A256KW" ? "enc" : "sig",
  };
}

/** A new value of a secret, in the text that the worker reads. */
export function newSecret(name: string, form: SecretForm): string {
  if (form === "list") return newRandom();
  const label = name.toLowerCase().replaceAll("_", "-").replace(/-key$/u, "");
  return JSON.stringify(newPrivateJwk(form === "Ed25519 list" ? "Ed25519" : form, label));
}

/** The public half of a private JWK, computed from the private part. Throws for a text that is none. */
export function publicHalfOf(text: string): JsonWebKey & { readonly kid?: string } {
  try {
    const { kid, alg, use, ...jwk }: PrivateJwk = JSON.parse(text);
    const made = createPublicKey(createPrivateKey({ key: jwk, format: "jwk" })).export({ format: "jwk" });
    return { ...made, kid, alg, use };
  } catch {
    throw new Error("not a private JWK"); // the parser's message could quote the key
  }
}

/** The JWKs of CHECKPOINT_KEY as texts: one private JWK, or an array while it is replaced. */
export function checkpointKeysIn(text: string): readonly string[] {
  const value: unknown = JSON.parse(text);
  return Array.isArray(value) ? value.map((each) => JSON.stringify(each)) : [text];
}

/**
 * The verifier key of a log or of the root log, from CHECKPOINT_KEY. While it is replaced: keys with spaces
 * between.
 */
export const logVerifierKey = (checkpointKey: string, ledgerName: string, log: string = ROOT_LOG): string =>
  checkpointKeysIn(checkpointKey)
    .map((key) => verifierKey(`${ledgerName}/${log}`, rawPublic(key)))
    .join(" ");

/** A JWK that is a public half already, or the public half of a private JWK. */
const halfOf = (text: string): JsonWebKey => {
  const jwk: JsonWebKey = JSON.parse(text);
  return jwk.d === undefined ? jwk : publicHalfOf(text);
};

/** The verifier key of a witness's cosignatures, from the private JWK of WITNESS_KEY. */
export const witnessVerifierKey = (witnessKey: string, name: string): string =>
  verifierKey(name, rawPublic(witnessKey), signatureTypes.cosignature);

const rawPublic = (text: string): Uint8Array =>
  new Uint8Array(Buffer.from(halfOf(text).x ?? "", "base64url"));
