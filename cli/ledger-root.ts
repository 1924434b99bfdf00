import { cosignedAt } from "#ledger/tlog/cosignature";
import { parseFrame } from "#ledger/leaf/frame";
import { parseLogName } from "#ledger/log-name";
import type { LogReader } from "#ledger/ports";
import { mayBeDeleted, ROOT_LOG, RootLeaves, siblingOf } from "#ledger/root-log";
import type { Verifier } from "#ledger/tlog/signed-note";
import type { Claims, LeafRules } from "#ledger/verify";
import type { Report } from "./ledger-folder.ts";
import { logOf } from "./ledger-keys.ts";

/** What is to be checked, and with what. */
export interface Check {
  readonly keys: readonly Verifier[];
  readonly witnesses: readonly Verifier[];
  readonly only: readonly string[]; // logs; empty for all
  readonly claimsOf: (verifier: Verifier) => Claims;
}

/** How one log is read and checked where it is: over HTTP, or in a folder. */
export interface Place {
  readerOf(log: string): LogReader;
  verify(reader: LogReader, verifier: Verifier, claims: Claims, rules?: LeafRules): Promise<Report>;
}

// A log is opened in the root log before its first record. Their clocks are two objects', and a frame's time is rounded down by up to 10 s.
const CLOCKS_MAY_DIFFER_SECONDS = 60;

/** The key of the root log among these. */
export const rootKeyOf = (keys: readonly Verifier[]): Verifier | undefined =>
  keys.find((key) => logOf(key) === ROOT_LOG);

/** The key of a log, of those given or by the root log's: one key pair signs every log of a ledger. */
export function keyOfLog(keys: readonly Verifier[], log: string): Verifier | undefined {
  const root = rootKeyOf(keys);
  const sibling = root !== undefined && parseLogName(log) !== undefined ? siblingOf(root, log) : undefined;
  return keys.find((key) => logOf(key) === log) ?? sibling;
}

/** These keys, and those of every other log that has leaves by the root log's word. */
export function keysWithRoot(keys: readonly Verifier[], root: Verifier, { seen }: RootLeaves): Verifier[] {
  const named = [...seen].filter(
    ([log, all]) => (all.at(-1)?.size ?? 0) > 0 && !keys.some((key) => logOf(key) === log),
  );
  return [...keys, ...named.map(([log]) => siblingOf(root, log))];
}

/**
 * Checks the root log first, when its key is among the keys; then each log, also those that only the root log names, against every
 * checkpoint that stands there: what was cut, rewritten or hidden since does not fit.
 */
export async function verifyLogs(
  { keys, witnesses, only, claimsOf }: Check,
  place: Place,
): Promise<Report[]> {
  const isAsked = (verifier: Verifier): boolean => only.length === 0 || only.includes(logOf(verifier));
  const logs = keys.filter((key) => logOf(key) !== ROOT_LOG && isAsked(key));
  const root = rootKeyOf(keys.filter(isAsked));
  if (root === undefined)
    return await inTurn(logs, (verifier) =>
      place.verify(place.readerOf(logOf(verifier)), verifier, claimsOf(verifier)),
    );
  const leaves = new RootLeaves(root);
  const report = await verifyRoot(root, leaves, { witnesses, claimsOf }, place);
  const named = keysWithRoot(keys, root, leaves).filter((key) => !keys.includes(key) && isAsked(key));
  return [
    report,
    ...(await inTurn([...logs, ...named], (verifier) =>
      verifyAgainst(leaves, verifier, claimsOf(verifier), place),
    )),
  ];
}

async function verifyRoot(
  root: Verifier,
  leaves: RootLeaves,
  { witnesses, claimsOf }: Pick<Check, "witnesses" | "claimsOf">,
  place: Place,
): Promise<Report> {
  const reader = place.readerOf(ROOT_LOG);
  const note = await reader.checkpoint(); // once: the one whose cosignatures are checked is the one that the log is checked against
  const report = await place.verify(
    { ...reader, checkpoint: () => Promise.resolve(note) },
    root,
    claimsOf(root),
    leaves,
  );
  if (!("good" in report) || note === undefined) return report;
  const cosigned: { name: string; seconds: number }[] = [];
  for (const witness of witnesses) {
    const at = cosignedAt(note, witness);
    if (!at.ok)
      return { name: ROOT_LOG, wrong: { object: "checkpoint", problem: `${at.error} by ${witness.name}` } };
    cosigned.push({ name: witness.name, seconds: at.value });
  }
  return { ...report, cosigned };
}

/** Checks a log that must have every checkpoint of it in the root log in its past. */
async function verifyAgainst(
  root: RootLeaves,
  verifier: Verifier,
  claims: Claims,
  place: Place,
): Promise<Report> {
  const name = logOf(verifier);
  const reader = place.readerOf(name);
  const seen = root.seen.get(name);
  const last = seen?.at(-1);
  // What is claimed of a log that is gone nobody can check any more: it must not pass for checked.
  const isClaimed = (claims.since ?? []).length + (claims.receipts ?? []).length > 0;
  if (
    last !== undefined &&
    !isClaimed &&
    mayBeDeleted(name, root.seconds, Date.now() / 1000) &&
    (await reader.checkpoint()) === undefined
  ) {
    const { size, root: hash, frame } = last;
    return { name, removed: true, good: { size, root: hash, frames: (frame?.number ?? -1) + 1 } };
  }
  const report = await place.verify(reader, verifier, {
    ...claims,
    since: [...(claims.since ?? []), ...(seen ?? [])],
  });
  if (!("good" in report)) return report;
  if (seen === undefined && (await isOlder(reader, root.seconds)))
    return { name, wrong: "has records and is not in the root log" };
  return { ...report, rooted: last?.size ?? 0 };
}

/** Whether a log's first frame is from before the root log's last one: it is too late then for the log to be opened. */
async function isOlder(reader: LogReader, rootSeconds: number): Promise<boolean> {
  const bytes = await reader.frame(0);
  const frame = bytes && parseFrame(bytes);
  return frame?.ok === true && frame.value.seconds + CLOCKS_MAY_DIFFER_SECONDS < rootSeconds;
}

async function inTurn<T>(
  verifiers: readonly Verifier[],
  each: (verifier: Verifier) => Promise<T>,
): Promise<T[]> {
  const all: T[] = [];
  for (const verifier of verifiers) all.push(await each(verifier));
  return all;
}
