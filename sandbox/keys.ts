import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { exportJWK, generateKeyPair, type JWK } from "jose";

/**
 * Writes a file so that a reader finds the old content or the new, never a part. Only the owner can read it.
 */
export function writeWhole(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, content, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/**
 * A private JWK that is made once and stored: with a different key every token, checkpoint or sealed line of
 * this state would be lost.
 */
export async function keptKey(
  path: string,
  algorithm: "ES256" | "RS256" | "Ed25519" | "ECDH-ES+A256KW",
  kid: string,
): Promise<JWK> {
  if (existsSync(path)) {
    const kept: JWK = JSON.parse(readFileSync(path, "utf8"));
    return kept;
  }
  const { privateKey } = await generateKeyPair(algorithm, {
    extractable: true,
    ...(algorithm.startsWith("ECDH") ? { crv: "P-256" } : {}),
  });
  const key: JWK = {
    ...(await exportJWK(privateKey)),
    kid,
    alg: algorithm,
    use: algorithm.startsWith("ECDH") ? "enc" : "sig",
  };
  writeWhole(path, `${JSON.stringify(key, undefined, 2)}\n`);
  return key;
}

/** 32 random bytes in base64url, made once and stored. */
export function keptSecret(path: string): string {
  if (!existsSync(path)) writeWhole(path, `${randomBytes(32).toString("base64url")}\n`);
  return readFileSync(path, "utf8").trim();
}

/** The public half of a JWK. */
export function publicHalf({ d: _d, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...rest }: JWK): JWK {
  return rest;
}
