import { setTimeout as wait } from "node:timers/promises";
import { Misuse } from "../misuse.ts";
import { readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { JWK } from "jose";
import type { AuditorSource } from "#auditing/ledger-events";
import type { LogReader } from "#ledger/ports";
import { folderLog } from "../log/folder-log.ts";
import { httpLog } from "../log/http-log.ts";
import { exportIn, ownKeys } from "../log/ledger-folder.ts";
import { logOfVerifier } from "#ledger/log-of-verifier";
import { givenKeys } from "../log/ledger-keys.ts";
import { complain } from "../output.ts";

const many = { type: "string", multiple: true, default: [] as string[] } as const;

/** Options of every command that opens leaves. */
export const auditorOptions = { key: many, "log-key": many, keys: many, log: many } as const;
interface AuditorValues {
  readonly key: readonly string[];
  readonly "log-key": readonly string[];
  readonly keys: readonly string[];
  readonly log: readonly string[];
}

/**
 * The source that the options and a URL or folder name. Without them, the source is the development stack's
 * ledger. Throws a Misuse.
 */
export async function auditorSource(
  values: AuditorValues,
  named: string | undefined,
): Promise<AuditorSource> {
  if (values.key.length === 0)
    throw new Misuse("no auditor's private key: give it with --key, because only that key opens a leaf");
  const auditors = values.key.map(readAuditorKey);
  const given = givenKeys(values["log-key"], values.keys);
  const place = named ?? given?.url;
  if (place === undefined) throw new Misuse("name the ledger's URL or an exported folder");
  const isUrl = /^https?:\/\//.test(place);
  const folder = exportIn(resolve(place));
  if (!isUrl && statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new Misuse(`${place} is neither a URL nor a folder: name the ledger's URL or an exported folder`);
  const keys = given?.keys ?? (isUrl ? undefined : await ownKeys(folder));
  if (keys === undefined) throw new Misuse("no public key to check with: give one with --log-key or --keys");
  if (given === undefined)
    complain("keys: the folder's own, so this shows only that the folder agrees with itself");
  const unknown = values.log.find((log) => !keys.some((verifier) => logOfVerifier(verifier) === log));
  if (unknown !== undefined) throw new Misuse(`no key for log ${unknown}: give it with --log-key`);
  const readerOf = (log: string): LogReader => (isUrl ? httpLog(place, log) : folderLog(join(folder, log)));
  return {
    keys,
    auditors,
    only: values.log,
    readerOf,
    nowSeconds: Date.now() / 1000,
    wait,
    onDeleted: (log) =>
      complain(`${log}: deleted, six years after its half-year had ended: its events are not read`),
  };
}

/** Reads a private key as a JWK (RFC 7517) for ECDH-ES. An error about the file never quotes its content. */
function readAuditorKey(file: string): JWK {
  let jwk: JWK;
  try {
    jwk = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new Misuse(`${file} cannot be read as JSON: --key takes a file with a JWK`);
  }
  const curves = ["P-256", "P-384", "P-521", "X25519"];
  if (typeof jwk?.d !== "string" || !curves.includes(String(jwk.crv)))
    throw new Misuse(
      `${file} is not an auditor's private key: a private JWK for P-256, P-384, P-521 or X25519 is needed`,
    );
  return jwk;
}
