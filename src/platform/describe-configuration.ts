import { createHash, createHmac, createPrivateKey, createPublicKey, type JsonWebKey } from "node:crypto";
import { configurationOf } from "#audit/configuration";
import type { Configuration } from "#audit/event";

/**
 * How a configuration record describes a variable or secret. A text that no table names is described like an
 * origin's credentials.
 */
export type VariableForm = "plain" | "public keys" | "private key" | "private keys" | "random key";
export type VariableForms = Readonly<Record<string, VariableForm>>;

const label = "phylax configuration v1";
const PLAIN_MAX = 5_120; // Cloudflare allows variables of 5 KB; a longer value is recorded by its digest

/**
 * The configuration that a worker started with, in the form of its record. A private key is described by the
 * RFC 7638 thumbprint of its public half, and an array of keys by these of each key. A private key and 32
 * random bytes are also described by HMAC-SHA-256 of a label under the secret's text: a pseudorandom function
 * of a key that is impossible to guess. Credentials for external servers may be guessable: their hash is
 * under this worker's own key, so that a reader of the record cannot try guesses.
 * @param env all variables, secrets and bindings. Bindings that are neither text nor named by a table are
 * omitted.
 * @param guard the name of the random key that credentials are hashed under.
 */
export function describeConfiguration(
  worker: string,
  env: object,
  forms: VariableForms,
  guard: string,
): Configuration {
  const guardKey = hmac(textOf(Reflect.get(env, guard)), `${label} credentials`);
  const settings = Object.entries(env).flatMap(([name, value]: [string, unknown]): [string, string][] => {
    const form = Object.hasOwn(forms, name) ? forms[name] : undefined;
    if (form !== undefined) return [[name, describe(form, textOf(value))]];
    if (typeof value !== "string") return [];
    const credential = { fingerprint: hmac(guardKey, `${name}\0${value}`) };
    return [[name, JSON.stringify({ ...publicHalf(jsonOf(value)), ...credential })]];
  });
  return configurationOf(worker, settings);
}

function describe(form: VariableForm, text: string): string {
  switch (form) {
    case "plain":
      return Buffer.byteLength(text) > PLAIN_MAX ? JSON.stringify({ sha256: sha256(text) }) : text;
    case "public keys":
      return text === "" ? "" : JSON.stringify({ keys: keysOf(text), sha256: sha256(text) });
    case "private key":
      return JSON.stringify({ ...publicHalf(jsonOf(text)), fingerprint: hmac(text, label) });
    case "private keys":
      return JSON.stringify({ ...publicHalves(jsonOf(text)), fingerprint: hmac(text, label) });
    case "random key":
      return JSON.stringify({ fingerprint: hmac(text, label) });
  }
}

interface PublicHalf {
  readonly kid: string | undefined;
  readonly jkt: string;
}

/** `kid` and thumbprint of the public half of a private JWK. */
function publicHalf(value: unknown): PublicHalf | undefined {
  try {
    // the next line refuses an invalid key
    const jwk = value as JsonWebKey & { readonly kid?: unknown };
    const made = createPublicKey(createPrivateKey({ key: jwk, format: "jwk" })).export({ format: "jwk" });
    return { kid: typeof jwk.kid === "string" ? jwk.kid : undefined, jkt: jkt(made) };
  } catch {
    return undefined; // not a private JWK; the error could quote it
  }
}

/** A single private JWK as `publicHalf` describes it; an array in its order, a public JWK among them too. */
function publicHalves(value: unknown): PublicHalf | { readonly keys: readonly PublicHalf[] } | undefined {
  if (!Array.isArray(value)) return publicHalf(value);
  // the worker read each as a JWK before
  const jwks = value as readonly (JsonWebKey & { readonly kid?: string })[];
  return { keys: jwks.map((jwk) => publicHalf(jwk) ?? { kid: jwk.kid, jkt: jkt(jwk) }) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the parser's message could quote a secret
  }
}

function keysOf(text: string): readonly object[] {
  // the worker read it as a JWK set before
  const { keys } = JSON.parse(text) as { readonly keys: readonly (JsonWebKey & { readonly kid?: string })[] };
  return keys.map((key) => ({ kid: key.kid, jkt: jkt(key) }));
}

/** RFC 7638 §3.2, RFC 8037 §2: the members that make a key, in this order. */
const jkt = (key: JsonWebKey): string => sha256(JSON.stringify(key, ["crv", "e", "kty", "n", "x", "y"]));

const textOf = (value: unknown): string =>
  typeof value === "string" ? value : (JSON.stringify(value) ?? "");
const sha256 = (text: string): string => createHash("sha256").update(text).digest("base64url");
const hmac = (key: string, text: string): string =>
  createHmac("sha256", key).update(text).digest("base64url");
