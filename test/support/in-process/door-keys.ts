import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureAuthority } from "../../../sandbox/certificates.ts";
import { keptKey, keptSecret } from "../../../sandbox/keys.ts";
import type { JWK } from "jose";

/**
 * The authorities, keys and secrets that all doors of a process share. They are made when the first door
 * opens.
 */
export interface DoorKeys {
  readonly state: string;
  readonly pki: string;
  readonly ca: string;
  readonly clientCa: { readonly cert: string; readonly key: string };
  readonly token: JWK;
  readonly answers: JWK;
  readonly checkpoint: JWK;
  readonly auditors: readonly { readonly path: string; readonly jwk: JWK }[];
  readonly paging: string;
  readonly dpopNonce: string;
  readonly opsNonce: string;
  readonly consoleSession: string;
  readonly accounting: string;
  readonly subject: string;
  readonly consent: string;
}

let made: Promise<DoorKeys> | undefined;

export const doorKeys = (): Promise<DoorKeys> => (made ??= makeKeys());

async function makeKeys(): Promise<DoorKeys> {
  const state = mkdtempSync(join(tmpdir(), "phylax-door-"));
  process.once("exit", () => rmSync(state, { recursive: true, force: true }));
  const pki = join(state, "pki");
  const secret = (name: string) => join(state, "secrets", name);
  const auditors = ["auditor-1", "auditor-2"].map(async (kid) => {
    const path = join(state, "auditors", `${kid}.jwk.json`);
    return { path, jwk: await keptKey(path, "ECDH-ES+A256KW", kid) };
  });
  const { serverCa, clientCa } = await ensureAuthority(pki);
  return {
    state,
    pki,
    ca: serverCa.cert,
    clientCa,
    token: await keptKey(secret("token-signing.jwk.json"), "ES256", "token-1"),
    answers: await keptKey(secret("response-signing.jwk.json"), "Ed25519", "answers-1"),
    checkpoint: await keptKey(secret("checkpoint.jwk.json"), "Ed25519", "checkpoint-1"),
    auditors: await Promise.all(auditors),
    paging: keptSecret(secret("paging")),
    dpopNonce: keptSecret(secret("dpop-nonce")),
    opsNonce: keptSecret(secret("ops-nonce")),
    consoleSession: keptSecret(secret("console-session")),
    accounting: keptSecret(secret("accounting")),
    subject: keptSecret(secret("subject")),
    consent: keptSecret(secret("consent")),
  };
}
