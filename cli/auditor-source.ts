import { readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { JWK } from "jose";
import type { LogReader } from "#ledger/ports";
import type { Verifier } from "#ledger/tlog/signed-note";
import { folderLog } from "./folder-log.ts";
import { httpLog } from "./http-log.ts";
import { ownKeys } from "./ledger-folder.ts";
import { givenKeys, logOf, Misuse } from "./ledger-keys.ts";

const many = { type: "string", multiple: true, default: [] as string[] } as const;

/** Options of every command that opens leaves. */
export const auditorOptions = { key: many, "log-key": many, keys: many, log: many } as const;
export const auditorUsage = "--key AUDITOR.JWK.JSON… [--log-key VKEY]… [--keys DEV.JSON]… [--log NAME]…";

/** Where the logs are, the public keys that they are checked with, and the private ones that open them. */
export interface AuditorSource {
  readonly keys: readonly Verifier[];
  readonly auditors: readonly JWK[];
  /** Logs to read; empty for all. */
  readonly only: readonly string[];
  readonly readerOf: (log: string) => LogReader;
}

interface AuditorAsked {
  readonly key: readonly string[];
  readonly "log-key": readonly string[];
  readonly keys: readonly string[];
  readonly log: readonly string[];
}

/** The source that options and a URL or folder name; without either, the development stack's. Throws a Misuse. */
export async function auditorSource(asked: AuditorAsked, named: string | undefined): Promise<AuditorSource> {
  if (asked.key.length === 0)
    throw new Misuse("an auditor's private key is needed (--key): without one no leaf opens");
  const auditors = asked.key.map(readAuditorKey);
  const given = givenKeys(asked["log-key"], asked.keys);
  const place = named ?? given?.url;
  if (place === undefined) throw new Misuse("the ledger's URL or an exported folder is needed");
  const isUrl = /^https?:\/\//.test(place);
  const folder = resolve(place);
  if (!isUrl && statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new Misuse(`${place} is neither a URL nor a folder`);
  const keys = given?.keys ?? (isUrl ? undefined : await ownKeys(folder));
  if (keys === undefined)
    throw new Misuse("without a public key (--log-key or --keys) nothing can be checked");
  if (given === undefined)
    console.error("keys: the folder's own, so this shows only that the folder agrees with itself");
  const unknown = asked.log.find((log) => !keys.some((verifier) => logOf(verifier) === log));
  if (unknown !== undefined) throw new Misuse(`no key for log ${unknown}`);
  const readerOf = (log: string): LogReader => (isUrl ? httpLog(place, log) : folderLog(join(folder, log)));
  return { keys, auditors, only: asked.log, readerOf };
}

/** A private key as a JWK (RFC 7517) that ECDH-ES takes. What is wrong with the file is told without anything that is in it. */
function readAuditorKey(file: string): JWK {
  let jwk: JWK;
  try {
    jwk = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new Misuse(`${file} cannot be read as JSON`);
  }
  const curves = ["P-256", "P-384", "P-521", "X25519"];
  if (typeof jwk?.d !== "string" || !curves.includes(String(jwk.crv)))
    throw new Misuse(`${file} is not an auditor's private key`);
  return jwk;
}
