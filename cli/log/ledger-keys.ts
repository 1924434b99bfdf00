import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isLedgerName } from "#ledger/ledger-name";
import { ledgerOfVerifier, logOfVerifier } from "#ledger/log-of-verifier";
import { parseWitnessKey } from "#ledger/tlog/cosignature";
import { parseLogName } from "#ledger/log-name";
import { ROOT_LOG } from "#ledger/root-log";
import { Misuse } from "../misuse.ts";
import {
  parseVerifierKey,
  signatureTypes,
  verifierKey,
  verifierText,
  type Verifier,
} from "#ledger/tlog/signed-note";
import { profileFile, selectedProfile } from "../connection/profile.ts";

/** The members of a dev.json, or of a profile, that hold public keys of a ledger. */
interface PublicKeys {
  readonly logs: Readonly<Record<string, string>>;
  readonly root?: string;
  readonly witnesses?: Readonly<Record<string, string>>;
}

/** The public keys in a file that `--keys` takes, for a profile. */
export function publicKeysIn(file: string): PublicKeys {
  const { keys, witnesses } = readKeyFile(file);
  const root = keys.find((key) => logOfVerifier(key) === ROOT_LOG);
  const logs = keys.filter((key) => key !== root);
  return {
    logs: Object.fromEntries(logs.map((key) => [logOfVerifier(key), keyText(key)])),
    ...(root === undefined ? {} : { root: keyText(root) }),
    witnesses: Object.fromEntries(
      witnesses.map(({ name, publicKey }) => [
        name,
        verifierKey(name, publicKey, signatureTypes.cosignature),
      ]),
    ),
  };
}

/** Keys from outside the ledger, and the ledger's address when a file has it. */
export interface GivenKeys {
  readonly from: string;
  readonly keys: readonly Verifier[];
  readonly witnesses: readonly Verifier[];
  readonly url?: string;
}

/**
 * The keys of `--key` and `--keys`. Without these options, the keys of the development stack below the
 * current folder (npm changes that folder and leaves the first in INIT_CWD). Undefined when there are no
 * keys.
 */
export function givenKeys(key: readonly string[], files: readonly string[]): GivenKeys | undefined {
  const folders = [process.env["INIT_CWD"], process.cwd()].filter((folder) => folder !== undefined);
  const devFile = folders
    .flatMap((folder) => [
      join(folder, ".phylax", "dev.json"),
      join(folder, ".phylax", "keys.json"), // `npm start` leaves it when it ends
    ])
    .find((file) => existsSync(file));
  const profile = selectedProfile();
  const named = profile === undefined ? files : [...files, profileFile(profile)];
  const read = key.length + named.length > 0 ? named : [devFile].filter((file) => file !== undefined);
  const found = read.map(readKeyFile);
  const keys = [...key.map(readKey), ...found.flatMap((file) => file.keys)];
  // A check with different keys must not pass for a check with the keys that the options name.
  if (keys.length === 0 && named.length > 0)
    throw new Misuse(`${named.join(", ")} has no key: name a dev.json with "logs"`);
  if (keys.length === 0) return undefined;
  const url = found.map((file) => file.url).find((address) => address !== undefined);
  const witnesses = found.flatMap((file) => file.witnesses);
  return {
    from: [...key.map(() => "--key"), ...read].join(", "),
    keys,
    witnesses,
    ...(url === undefined ? {} : { url }),
  };
}

/**
 * The key of a log or of the root log. The names of its log and of its ledger become names of folders, which a
 * failed export deletes and `restore copy` writes, so a name like `..` is refused.
 */
export function parseLogKey(text: string): Verifier | undefined {
  const key = parseVerifierKey(text);
  if (!key.ok || !isLedgerName(ledgerOfVerifier(key.value))) return undefined;
  const log = logOfVerifier(key.value);
  return log === ROOT_LOG || parseLogName(log) !== undefined ? key.value : undefined;
}

/** The key of a witness. The root log's checkpoint must have its cosignature. */
export function readWitnessKey(text: string): Verifier {
  const key = parseWitnessKey(text);
  if (!key.ok) throw new Misuse(`not the verifier key of a witness, as "name+hash+key": ${text}`);
  return key.value;
}

export const keyText = verifierText;

function readKey(text: string): Verifier {
  const key = parseLogKey(text);
  if (key === undefined) throw new Misuse(`not the verifier key of a log, as "name+hash+key": ${text}`);
  return key;
}

interface KeyFile {
  readonly keys: readonly Verifier[];
  readonly witnesses: readonly Verifier[];
  readonly url: string | undefined;
}

/**
 * Reads a dev.json: `logs` (log name to verifier key), `root` and `witnesses` if present, and `ledger`, which
 * is an address and not a reason to trust.
 */
function readKeyFile(file: string): KeyFile {
  const exported = keysOfExport(file);
  if (exported !== undefined) return { keys: exported, witnesses: [], url: undefined };
  const { logs, root, witnesses = {}, ledger } = readJson(file);
  if (logs === undefined && root === undefined)
    throw new Misuse(`${file} has no "logs" and no "root": name a dev.json or the file "keys" of an export`);
  const named: [string, unknown][] = Object.entries({
    ...logs,
    ...(root === undefined ? {} : { [ROOT_LOG]: root }),
  });
  const keys = named.map(([log, text]) => {
    const key = readKey(String(text));
    if (logOfVerifier(key) !== log) throw new Misuse(`${file}: the key of ${log} belongs to another log`);
    return key;
  });
  return {
    keys,
    witnesses: Object.values(witnesses).map((text) => readWitnessKey(String(text))),
    url: ledger,
  };
}

interface KeyJson {
  readonly logs?: Readonly<Record<string, unknown>>;
  readonly root?: unknown;
  readonly witnesses?: Readonly<Record<string, unknown>>;
  readonly ledger?: string;
}

function readJson(file: string): KeyJson {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new Misuse(
      `${file} cannot be read: --keys takes a dev.json, or the file "keys" of an export that you trust`,
    );
  }
}

/**
 * The keys of an export's own file `keys`, or of a copy of it. Undefined if the file is something else: each
 * line is a comment or a verifier key.
 */
function keysOfExport(file: string): readonly Verifier[] | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined; // the caller names the file in its error
  }
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const keys = lines.flatMap((line) => parseLogKey(line) ?? []);
  return keys.length > 0 && keys.length === lines.length ? keys : undefined;
}
