import { createHash, createHmac, createPrivateKey, createPublicKey, type JsonWebKey } from "node:crypto";
import { configurationOf } from "#audit/configuration";
import type { Configuration } from "#audit/event";

/** How a record tells a variable or secret. What a worker has and no table names, it tells as it does an origin's credentials. */
export type VariableForm = "plain" | "public keys" | "private key" | "random key";
export type VariableForms = Readonly<Record<string, VariableForm>>;

const label = "phylax configuration v1";
const PLAIN_MAX = 5_120; // Cloudflare takes variables of 5 KB; a longer one is told by its digest

/**
 * What a worker started with, as its record tells it. Of a private key it has the RFC 7638 thumbprint of the public half; of it and of 32
 * random bytes HMAC-SHA-256 of a label under the secret's text, a pseudorandom function of a key that nobody can guess. Credentials for
 * others' servers may be guessable: their hash is under a key of this worker's own, so that whoever reads it cannot try guesses.
 *
 * @param env all variables, secrets and bindings; of bindings that are no text and in no table nothing is told.
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
    const how = Object.hasOwn(forms, name) ? forms[name] : undefined;
    if (how !== undefined) return [[name, tell(how, textOf(value))]];
    if (typeof value !== "string") return [];
    const credential = { fingerprint: hmac(guardKey, `${name}\0${value}`) };
    return [[name, JSON.stringify({ ...publicHalf(value), ...credential })]];
  });
  return configurationOf(worker, settings);
}

function tell(how: VariableForm, text: string): string {
  switch (how) {
    case "plain":
      return Buffer.byteLength(text) > PLAIN_MAX ? JSON.stringify({ sha256: sha256(text) }) : text;
    case "public keys":
      return text === "" ? "" : JSON.stringify({ keys: keysOf(text), sha256: sha256(text) });
    case "private key":
      return JSON.stringify({ ...publicHalf(text), fingerprint: hmac(text, label) });
    case "random key":
      return JSON.stringify({ fingerprint: hmac(text, label) });
  }
}

/** `kid` and thumbprint of the public half of a private JWK. */
function publicHalf(text: string): { readonly kid: string | undefined; readonly jkt: string } | undefined {
  try {
    const jwk = JSON.parse(text) as JsonWebKey & { readonly kid?: unknown }; // what is none is refused by the next line
    const made = createPublicKey(createPrivateKey({ key: jwk, format: "jwk" })).export({ format: "jwk" });
    return { kid: typeof jwk.kid === "string" ? jwk.kid : undefined, jkt: jkt(made) };
  } catch {
    return undefined; // not a private JWK; the error could quote it
  }
}

function keysOf(text: string): readonly object[] {
  const { keys } = JSON.parse(text) as { readonly keys: readonly (JsonWebKey & { readonly kid?: string })[] }; // the worker read it as a JWK set before
  return keys.map((key) => ({ kid: key.kid, jkt: jkt(key) }));
}

/** RFC 7638 §3.2, RFC 8037 §2: the members that make a key, in this order. */
const jkt = (key: JsonWebKey): string => sha256(JSON.stringify(key, ["crv", "e", "kty", "n", "x", "y"]));

const textOf = (value: unknown): string =>
  typeof value === "string" ? value : (JSON.stringify(value) ?? "");
const sha256 = (text: string): string => createHash("sha256").update(text).digest("base64url");
const hmac = (key: string, text: string): string =>
  createHmac("sha256", key).update(text).digest("base64url");
