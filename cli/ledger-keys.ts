import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseLogName } from "#ledger/log-name";
import { parseVerifierKey, verifierKey, type Verifier } from "#ledger/signed-note";

/** A command that was called in a way that means nothing. */
export class Misuse extends Error {}

/** Exit code of a command's fault, after telling it: 2 for a misuse, 1 for all else. */
export function tellFault(fault: unknown, usage: string): 1 | 2 {
  const misuse = fault instanceof Misuse || (fault instanceof TypeError && "code" in fault); // parseArgs throws a TypeError with a code
  console.error(fault instanceof Error ? fault.message : String(fault));
  if (misuse) console.error(`usage: ${usage}`);
  return misuse ? 2 : 1;
}

/** Keys from outside the ledger, and where it is served, when one of the files says so. */
export interface GivenKeys {
  readonly from: string;
  readonly keys: readonly Verifier[];
  readonly url?: string;
}

/**
 * The keys that `--key` and `--keys` give; without either those of the development stack below the current folder (npm changes that
 * folder and leaves the first one in INIT_CWD). Undefined when there are none at all.
 */
export function givenKeys(key: readonly string[], files: readonly string[]): GivenKeys | undefined {
  const folders = [process.env["INIT_CWD"], process.cwd()].filter((folder) => folder !== undefined);
  const standing = folders.map((folder) => join(folder, ".phylax", "dev.json")).find((file) => existsSync(file));
  const read = key.length + files.length > 0 ? files : [standing].filter((file) => file !== undefined);
  const found = read.map(readKeyFile);
  const keys = [...key.map(readKey), ...found.flatMap((file) => file.keys)];
  // Asked to check with somebody's keys, a check with other ones must not pass for it.
  if (keys.length === 0 && files.length > 0) throw new Misuse(`${files.join(", ")} has no key`);
  if (keys.length === 0) return undefined;
  const url = found.map((file) => file.url).find((one) => one !== undefined);
  return { from: [...key.map(() => "--key"), ...read].join(", "), keys, ...(url === undefined ? {} : { url }) };
}

/** The key of a log. Its name becomes that of a folder, which a failed export removes: a name like `..` is none. */
export function parseLogKey(text: string): Verifier | undefined {
  const key = parseVerifierKey(text);
  return key.ok && parseLogName(logOf(key.value)) !== undefined ? key.value : undefined;
}

export const logOf = ({ name }: Verifier): string => name.slice(name.lastIndexOf("/") + 1);

export const keyText = ({ name, publicKey }: Verifier): string => verifierKey(name, publicKey);

function readKey(text: string): Verifier {
  const key = parseLogKey(text);
  if (key === undefined) throw new Misuse(`not the verifier key of a log: ${text}`);
  return key;
}

/** `logs` of a dev.json (DESIGN §10): log name to verifier key; and `ledger`: where, not what to trust. */
function readKeyFile(file: string): { readonly keys: readonly Verifier[]; readonly url: string | undefined } {
  const { logs, ledger } = readJson(file);
  if (logs === undefined) throw new Misuse(`${file} has no logs`);
  const keys = Object.entries(logs).map(([log, text]) => {
    const key = readKey(String(text));
    if (logOf(key) !== log) throw new Misuse(`${file}: the key of ${log} is another log's`);
    return key;
  });
  return { keys, url: ledger };
}

function readJson(file: string): { readonly logs?: Readonly<Record<string, unknown>>; readonly ledger?: string } {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new Misuse(`${file} cannot be read as JSON`);
  }
}
