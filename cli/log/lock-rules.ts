import { isPrivateUrl } from "#fhir/loopback";
import { Misuse } from "../misuse.ts";
import { readFileSync } from "node:fs";
import { type LockRule, readLockRules } from "#ledger/retention";
import { readJsonFile } from "../json-file.ts";

const PATIENCE_MS = 30_000;

/**
 * The lock rules in a file, or from `GET /accounts/{account}/r2/buckets/{bucket}/lock`, with a token from a
 * file that may read them.
 */
export async function readLocks(named: string, tokenFile: string | undefined): Promise<readonly LockRule[]> {
  const isUrl = /^https?:\/\//u.test(named);
  const file = isUrl ? undefined : readJsonFile(named);
  if (file !== undefined && !file.ok) throw new Misuse(`${named} ${file.error}`);
  const rules = readLockRules(file === undefined ? await ask(named, tokenFile) : file.value);
  if (!rules.ok) throw new Error(`${named} ${rules.error}`);
  return rules.value;
}

async function ask(url: string, tokenFile: string | undefined): Promise<unknown> {
  if (tokenFile !== undefined && !isPrivateUrl(new URL(url)))
    throw new Misuse("a token is sent over https only: use an https URL");
  const headers = tokenFile === undefined ? {} : { authorization: `Bearer ${readToken(tokenFile)}` };
  const response = await fetch(url, {
    headers,
    redirect: "error",
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).catch(() => {
    throw new Error(`${url} cannot be reached: check the address and the network`);
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.json().catch(() => {
    throw new Error(`${url} did not answer JSON: check that it is the lock API's address`);
  });
}

function readToken(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    throw new Misuse(`${file} cannot be read: check its name and permissions`);
  }
}
