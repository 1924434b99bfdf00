import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { toBase64 } from "#ledger/base64";
import { type Checkpoint, openCheckpoint } from "#ledger/checkpoint";
import { parseReceipt, type Receipt } from "#ledger/receipt";
import { parseVerifierKey, type Verifier } from "#ledger/signed-note";
import { type Claims, type Finding, verifyLog } from "#ledger/verify";
import { httpLog } from "./http-log.ts";

export const ledgerVerifyUsage =
  "phylax ledger verify [URL] (--key VKEY)… | --keys DEV.JSON  [--log NAME]… [--since CHECKPOINT_FILE]… [--receipt RECEIPT]…";

/** A checkpoint is signed at most once a second and may be cached for one: a receipt can be this much ahead of it. */
const CHECKPOINT_LAG_MS = 2200;

class Misuse extends Error {}

/**
 * Checks every log whose public key was given, over HTTP, and says what is wrong with which object. Keys come from the caller only:
 * a key that the server itself offers proves nothing.
 */
export async function ledgerVerify(args: readonly string[]): Promise<number> {
  try {
    const request = readRequest(args);
    let good = true;
    for (const verifier of request.verifiers) good = (await verifyOne(request.url, verifier, request.claims)) && good;
    return good ? 0 : 1;
  } catch (fault) {
    const misuse = fault instanceof Misuse || (fault instanceof TypeError && "code" in fault); // parseArgs throws a TypeError with a code
    console.error(fault instanceof Error ? fault.message : String(fault));
    if (misuse) console.error(`usage: ${ledgerVerifyUsage}`);
    return misuse ? 2 : 1;
  }
}

async function verifyOne(
  url: string,
  verifier: Verifier,
  claims: { since: readonly Uint8Array[]; receipts: readonly Receipt[] },
): Promise<boolean> {
  const log = logOf(verifier);
  const own: Claims = {
    since: claims.since.flatMap((note) => earlier(note, verifier)),
    receipts: claims.receipts.filter((receipt) => receipt.log === log),
  };
  let result = await verifyLog(httpLog(url, log), verifier, own);
  if (!result.ok && result.error.problem.startsWith("does not reach the receipt")) {
    await wait(CHECKPOINT_LAG_MS);
    result = await verifyLog(httpLog(url, log), verifier, own);
  }
  if (!result.ok) {
    console.error(`${log}: WRONG: ${sentence(result.error)}`);
    return false;
  }
  const { size, frames, root } = result.value;
  const claimed = [
    ...(own.since ?? []).map(() => "extends the earlier checkpoint"),
    ...(own.receipts ?? []).map(({ index }) => `has the receipt's leaf ${index}`),
  ];
  console.log([`${log}: good: ${size} leaves in ${frames} frames, root ${toBase64(root)}`, ...claimed].join(", "));
  return true;
}

const sentence = ({ object, index, problem }: Finding): string =>
  `${object}${index === undefined ? "" : ` (${object.startsWith("frame/") ? "frame" : "leaf"} ${index})`}: ${problem.replaceAll("_", " ")}`;

const logOf = (verifier: Verifier): string => verifier.name.slice(verifier.name.lastIndexOf("/") + 1);

/** The earlier checkpoint when it is this log's; one that its key did not sign proves nothing and is refused before. */
function earlier(note: Uint8Array, verifier: Verifier): Checkpoint[] {
  const opened = openCheckpoint(note, verifier);
  return opened.ok ? [opened.value] : [];
}

interface VerifyRequest {
  readonly url: string;
  readonly verifiers: readonly Verifier[];
  readonly claims: { readonly since: readonly Uint8Array[]; readonly receipts: readonly Receipt[] };
}

function readRequest(args: readonly string[]): VerifyRequest {
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { key: many, keys: many, log: many, since: many, receipt: many },
  });
  const [named, ...more] = positionals;
  const url = named ?? values.keys.map(ledgerOf).find((found) => found !== undefined);
  if (url === undefined || more.length > 0 || !/^https?:\/\//.test(url)) {
    throw new Misuse("the ledger's URL is needed (a dev.json has one), and nothing more");
  }
  const all = [...values.key.map(readKey), ...values.keys.flatMap(readKeyFile)];
  if (all.length === 0) throw new Misuse("without a public key (--key or --keys) nothing can be checked");
  const verifiers = values.log.length === 0 ? all : all.filter((verifier) => values.log.includes(logOf(verifier)));
  const unknown = values.log.find((log) => !all.some((verifier) => logOf(verifier) === log));
  if (unknown !== undefined) throw new Misuse(`no key for log ${unknown}`);
  const since = values.since.map((file) => ownCheckpoint(file, verifiers));
  const receipts = values.receipt.map((text) => ownReceipt(text, verifiers));
  return { url, verifiers, claims: { since, receipts } };
}

function readKey(text: string): Verifier {
  const key = parseVerifierKey(text);
  if (!key.ok) throw new Misuse(`not a verifier key: ${text}`);
  return key.value;
}

/** `ledger` of a dev.json: where, not what to trust. */
function ledgerOf(file: string): string | undefined {
  const { ledger }: { readonly ledger?: string } = JSON.parse(readFileSync(file, "utf8"));
  return ledger;
}

/** `logs` of a dev.json (DESIGN §10): log name to verifier key. */
function readKeyFile(file: string): Verifier[] {
  const { logs }: { readonly logs?: Readonly<Record<string, unknown>> } = JSON.parse(readFileSync(file, "utf8"));
  if (logs === undefined) throw new Misuse(`${file} has no logs`);
  return Object.entries(logs).map(([log, text]) => {
    const key = readKey(String(text));
    if (logOf(key) !== log) throw new Misuse(`${file}: the key of ${log} is another log's`);
    return key;
  });
}

function ownCheckpoint(file: string, verifiers: readonly Verifier[]): Uint8Array {
  const note = new Uint8Array(readFileSync(file));
  if (verifiers.some((verifier) => openCheckpoint(note, verifier).ok)) return note;
  throw new Error(`${file} is not a checkpoint that a given key signed`);
}

function ownReceipt(text: string, verifiers: readonly Verifier[]): Receipt {
  const receipt = parseReceipt(text);
  if (!receipt.ok) throw new Misuse(`not a receipt: ${text}`);
  if (verifiers.some((verifier) => logOf(verifier) === receipt.value.log)) return receipt.value;
  throw new Misuse(`no key for the receipt's log ${receipt.value.log}`);
}
