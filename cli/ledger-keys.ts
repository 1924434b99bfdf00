import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseWitnessKey } from "#ledger/tlog/cosignature";
import { parseLogName } from "#ledger/log-name";
import { ROOT_LOG } from "#ledger/root-log";
import { parseVerifierKey, verifierKey, type Verifier } from "#ledger/tlog/signed-note";
import { printable } from "./printable.ts";

/** A command that was called in a way that means nothing. */
export class Misuse extends Error {}

/** Exit code of a command's fault, after telling it: 2 for a misuse, 1 for all else. */
export function tellFault(fault: unknown, usage: string): 1 | 2 {
  const misuse = fault instanceof Misuse || (fault instanceof TypeError && "code" in fault); // parseArgs throws a TypeError with a code
  console.error(printable(fault instanceof Error ? fault.message : String(fault)));
  if (misuse) console.error(`usage: ${usage}`);
  return misuse ? 2 : 1;
}

/** Keys from outside the ledger, and where it is served, when one of the files says so. */
export interface GivenKeys {
  readonly from: string;
  readonly keys: readonly Verifier[];
  readonly witnesses: readonly Verifier[];
  readonly url?: string;
}

/**
 * The keys that `--key` and `--keys` give; without either those of the development stack below the current folder (npm changes that
 * folder and leaves the first one in INIT_CWD). Undefined when there are none at all.
 */
export function givenKeys(key: readonly string[], files: readonly string[]): GivenKeys | undefined {
  const folders = [process.env["INIT_CWD"], process.cwd()].filter((folder) => folder !== undefined);
  const standing = folders
    .map((folder) => join(folder, ".phylax", "dev.json"))
    .find((file) => existsSync(file));
  const read = key.length + files.length > 0 ? files : [standing].filter((file) => file !== undefined);
  const found = read.map(readKeyFile);
  const keys = [...key.map(readKey), ...found.flatMap((file) => file.keys)];
  // Asked to check with somebody's keys, a check with other ones must not pass for it.
  if (keys.length === 0 && files.length > 0) throw new Misuse(`${files.join(", ")} has no key`);
  if (keys.length === 0) return undefined;
  const url = found.map((file) => file.url).find((one) => one !== undefined);
  const witnesses = found.flatMap((file) => file.witnesses);
  return {
    from: [...key.map(() => "--key"), ...read].join(", "),
    keys,
    witnesses,
    ...(url === undefined ? {} : { url }),
  };
}

/** The key of a log or of the root log. Its name becomes that of a folder, which a failed export removes: a name like `..` is none. */
export function parseLogKey(text: string): Verifier | undefined {
  const key = parseVerifierKey(text);
  return key.ok && (parseLogName(logOf(key.value)) !== undefined || logOf(key.value) === ROOT_LOG)
    ? key.value
    : undefined;
}

/** The key of a witness, whose cosignature the root log's checkpoint must have. */
export function readWitnessKey(text: string): Verifier {
  const key = parseWitnessKey(text);
  if (!key.ok) throw new Misuse(`not the verifier key of a witness: ${text}`);
  return key.value;
}

export const logOf = ({ name }: Verifier): string => name.slice(name.lastIndexOf("/") + 1);

export const keyText = ({ name, publicKey }: Verifier): string => verifierKey(name, publicKey);

function readKey(text: string): Verifier {
  const key = parseLogKey(text);
  if (key === undefined) throw new Misuse(`not the verifier key of a log: ${text}`);
  return key;
}

interface KeyFile {
  readonly keys: readonly Verifier[];
  readonly witnesses: readonly Verifier[];
  readonly url: string | undefined;
}

/** Of a dev.json (DESIGN §10) `logs`: log name to verifier key; `root` and `witnesses`, if they are there; `ledger`: where, not what to trust. */
function readKeyFile(file: string): KeyFile {
  const { logs, root, witnesses = {}, ledger } = readJson(file);
  if (logs === undefined) throw new Misuse(`${file} has no logs`);
  const named: [string, unknown][] = Object.entries({
    ...logs,
    ...(root === undefined ? {} : { [ROOT_LOG]: root }),
  });
  const keys = named.map(([log, text]) => {
    const key = readKey(String(text));
    if (logOf(key) !== log) throw new Misuse(`${file}: the key of ${log} is another log's`);
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
    throw new Misuse(`${file} cannot be read as JSON`);
  }
}
