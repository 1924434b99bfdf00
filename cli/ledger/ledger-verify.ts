import { setTimeout as wait } from "node:timers/promises";
import { Misuse } from "../misuse.ts";
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { openEarlierCheckpoint, ROOT_LOG } from "#ledger/root-log";
import type { Receipt } from "#ledger/receipt";
import { parseReceipt } from "#ledger/read-receipt";
import type { Verifier } from "#ledger/tlog/signed-note";
import { type Claims, verifyLog } from "#ledger/verify";
import { httpLog, LogNotServed } from "../log/http-log.ts";
import { exportIn, keysFile, ownKeys, verifyFolder } from "../log/ledger-folder.ts";
import { onceMoreIfLate } from "#auditing/late-checkpoint";
import { logOfVerifier } from "#ledger/log-of-verifier";
import { givenKeys, readWitnessKey } from "../log/ledger-keys.ts";
import type { LogReport } from "#auditing/log-report";
import { printReport, reportAsJson } from "../log/ledger-report.ts";
import { type RootPlace, rootKeyOf, verifyLogs } from "#auditing/ledger-root";
import { giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

/**
 * Checks every log of a known public key, over HTTP or in an exported folder, and names the object that is
 * wrong. The keys come from the caller. Keys in the folder itself are used only when there are no other keys;
 * the output then says how little that proves.
 */
export async function ledgerVerify(args: readonly string[]): Promise<number> {
  const { target, keys, witnesses, only, claimsOf } = await readRequest(args);
  if (keys === undefined)
    return finish([{ name: keysFile, wrong: "is missing or not as an export writes it" }], () => ({}));
  const reports =
    target.kind === "folder"
      ? await verifyFolder(target.path, keys, claimsOf, only, witnesses)
      : await verifyLogs(
          { keys, claimsOf, only, witnesses, nowSeconds: Date.now() / 1000 },
          servedPlace(target.url),
        );
  return finish(reports, (name) => {
    const verifier = keys.find((key) => logOfVerifier(key) === name);
    return verifier === undefined ? {} : claimsOf(verifier);
  });
}

/** Prints each report, gives the result, and returns the exit code. */
function finish(reports: readonly LogReport[], claimsOf: (log: string) => Claims): 0 | 1 {
  const good = reports.map((report) => printReport(report, claimsOf(report.name))).every(Boolean);
  giveResult({ good, logs: reports.map(reportAsJson) });
  return good ? 0 : 1;
}

const servedPlace = (url: string): RootPlace => ({
  readerOf: (log) => httpLog(url, log),
  async verify(reader, verifier, claims, rules) {
    const name = logOfVerifier(verifier);
    try {
      const result = await onceMoreIfLate(() => verifyLog(reader, verifier, claims, rules), wait);
      return result.ok ? { name, good: result.value } : { name, wrong: result.error };
    } catch (fault) {
      // One log that is down must not hide the other logs. Without the root log no log can be checked.
      if (!(fault instanceof LogNotServed) || name === ROOT_LOG) throw fault;
      return { name, notReached: true, wrong: `${fault.message}. The gateway's /readyz says why` };
    }
  },
});

interface VerifyRequest {
  readonly target:
    | { readonly kind: "url"; readonly url: string }
    | { readonly kind: "folder"; readonly path: string };
  // undefined: the folder's keys are the only keys and cannot be read
  readonly keys: readonly Verifier[] | undefined;
  readonly witnesses: readonly Verifier[];
  readonly only: readonly string[]; // logs to check; empty for all
  readonly claimsOf: (verifier: Verifier) => Claims;
}

async function readRequest(args: readonly string[]): Promise<VerifyRequest> {
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const { values, positionals } = readCall(args, {
    key: many,
    keys: many,
    witness: many,
    log: many,
    since: many,
    receipt: many,
  });
  const given = givenKeys(values.key, values.keys);
  const [named, ...more] = positionals;
  const target = readTarget(named ?? given?.url);
  if (target === undefined || more.length > 0)
    throw new Misuse("name the ledger's URL or an exported folder and nothing more");
  if (given === undefined && target.kind === "url")
    throw new Misuse("no public key to check with: give one with --key or --keys");
  const keys = given?.keys ?? (target.kind === "folder" ? await ownKeys(target.path) : undefined);
  if (given === undefined)
    say(`keys: the folder's own, so this shows only that the folder agrees with itself`);
  else if (values.key.length + values.keys.length === 0) say(`keys: of ${given.from}`);
  const witnesses = [...values.witness.map(readWitnessKey), ...(given?.witnesses ?? [])];
  if (keys === undefined) return { target, keys, witnesses, only: [], claimsOf: () => ({}) };
  // A check without a witness's cosignature must not pass for the check that `--witness` asks for.
  if (values.witness.length > 0 && rootKeyOf(keys) === undefined)
    throw new Misuse("witnesses cosign the root log: give the root log's key with --key or --keys");
  const unknown = values.log.find((log) => !keys.some((verifier) => logOfVerifier(verifier) === log));
  if (unknown !== undefined) throw new Misuse(`no key for log ${unknown}: give it with --key`);
  // A claim about a log that is not checked would pass unseen.
  const lookedAt =
    values.log.length === 0 ? keys : keys.filter((verifier) => values.log.includes(logOfVerifier(verifier)));
  const since = values.since.map((file) => ownCheckpoint(file, lookedAt));
  const receipts = values.receipt.map((text) => ownReceipt(text, lookedAt));
  return {
    target,
    keys,
    witnesses,
    only: values.log,
    claimsOf: (verifier) => claimsFor(verifier, since, receipts),
  };
}

function readTarget(named: string | undefined): VerifyRequest["target"] | undefined {
  if (named === undefined) return undefined;
  if (/^https?:\/\//.test(named)) return { kind: "url", url: named };
  const path = resolve(named);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new Misuse(`${named} is neither a URL nor a folder: name the ledger's URL or an exported folder`);
  return { kind: "folder", path: exportIn(path) };
}

/**
 * The claims about this log. An earlier checkpoint that this log's key did not sign belongs to another log.
 */
const claimsFor = (
  verifier: Verifier,
  since: readonly Uint8Array[],
  receipts: readonly Receipt[],
): Claims => ({
  since: since.flatMap((note) => {
    const opened = openEarlierCheckpoint(note, verifier);
    return opened.ok ? [opened.value] : [];
  }),
  receipts: receipts.filter(({ log }) => log === logOfVerifier(verifier)),
});

function ownCheckpoint(file: string, verifiers: readonly Verifier[]): Uint8Array {
  const note = new Uint8Array(readBytes(file));
  const opened = verifiers.map((verifier) => openEarlierCheckpoint(note, verifier));
  if (opened.some(({ ok }) => ok)) return note;
  if (opened.some((result) => !result.ok && result.error === "note_signed_by_a_key_that_ended"))
    throw new Error(`${file} is a checkpoint of a size after the end of the key that signed it`);
  throw new Error(`${file} is not a checkpoint signed by the key of a log in this check`);
}

function readBytes(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    throw new Misuse(`${file} cannot be read: check its name and permissions`);
  }
}

/** A receipt as the header's value, or the whole header line as it was copied. */
function ownReceipt(text: string, verifiers: readonly Verifier[]): Receipt {
  const receipt = parseReceipt(text.replace(/^phylax-receipt:/iu, "").trim());
  if (!receipt.ok) throw new Misuse(`not a receipt: ${text}`);
  if (verifiers.some((verifier) => logOfVerifier(verifier) === receipt.value.log)) return receipt.value;
  throw new Misuse(
    `the receipt is of log ${receipt.value.log}: give the key of that log, or name the log with --log`,
  );
}
