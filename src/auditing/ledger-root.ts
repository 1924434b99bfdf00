import { cosignedAt } from "#ledger/tlog/cosignature";
import { parseFrame } from "#ledger/leaf/frame";
import { parseLogName } from "#ledger/log-name";
import type { LogReader } from "#ledger/ports";
import { mayBeDeleted, ROOT_LOG, RootLeaves, siblingOf } from "#ledger/root-log";
import type { Verifier } from "#ledger/tlog/signed-note";
import type { Claims, LeafRules } from "#ledger/verify";
import type { LogReport } from "./log-report.ts";
import { logOfVerifier } from "#ledger/log-of-verifier";

/** The logs to check, and the keys to check them with. */
export interface Check {
  readonly keys: readonly Verifier[];
  readonly witnesses: readonly Verifier[];
  readonly only: readonly string[]; // logs to check; empty for all
  readonly claimsOf: (verifier: Verifier) => Claims;
  /** The reader's own time, in seconds since 1970. */
  readonly nowSeconds: number;
}

/** How to read and check one log at its place: over HTTP, or in a folder. */
export interface RootPlace {
  readerOf(log: string): LogReader;
  verify(reader: LogReader, verifier: Verifier, claims: Claims, rules?: LeafRules): Promise<LogReport>;
}

// A log is opened in the root log before its first record. Two Durable Objects supply the two times, and a
// frame's time is rounded down by up to 10 s.
const CLOCKS_MAY_DIFFER_SECONDS = 60;

/** The key of the root log among `keys`. */
export const rootKeyOf = (keys: readonly Verifier[]): Verifier | undefined =>
  keys.find((key) => logOfVerifier(key) === ROOT_LOG);

/**
 * The key of a log: from `keys`, or derived from the root log's key, because one key pair signs every log of
 * a ledger.
 */
export function keyOfLog(keys: readonly Verifier[], log: string): Verifier | undefined {
  const root = rootKeyOf(keys);
  const sibling = root !== undefined && parseLogName(log) !== undefined ? siblingOf(root, log) : undefined;
  return keys.find((key) => logOfVerifier(key) === log) ?? sibling;
}

/** `keys`, and the keys of every other log that has leaves according to the root log. */
export function keysWithRoot(keys: readonly Verifier[], root: Verifier, { seen }: RootLeaves): Verifier[] {
  const named = [...seen].filter(
    ([log, all]) => (all.at(-1)?.size ?? 0) > 0 && !keys.some((key) => logOfVerifier(key) === log),
  );
  return [...keys, ...named.map(([log]) => siblingOf(root, log))];
}

/**
 * Checks the root log first, when its key is among the keys. Then checks each log, also the logs that only
 * the root log names, against every checkpoint in the root log. A log that was cut, rewritten or hidden since
 * does not match.
 */
export async function verifyLogs(
  { keys, witnesses, only, claimsOf, nowSeconds }: Check,
  place: RootPlace,
): Promise<LogReport[]> {
  const isSelected = (verifier: Verifier): boolean =>
    only.length === 0 || only.includes(logOfVerifier(verifier));
  const logs = keys.filter((key) => logOfVerifier(key) !== ROOT_LOG && isSelected(key));
  const root = rootKeyOf(keys.filter(isSelected));
  if (root === undefined)
    return await inTurn(logs, (verifier) =>
      place.verify(place.readerOf(logOfVerifier(verifier)), verifier, claimsOf(verifier)),
    );
  const leaves = new RootLeaves(root);
  const report = await verifyRoot(root, leaves, { witnesses, claimsOf }, place);
  const named = keysWithRoot(keys, root, leaves).filter((key) => !keys.includes(key) && isSelected(key));
  return [
    report,
    ...(await inTurn([...logs, ...named], (verifier) =>
      verifyAgainst(leaves, verifier, claimsOf(verifier), place, nowSeconds),
    )),
  ];
}

async function verifyRoot(
  root: Verifier,
  leaves: RootLeaves,
  { witnesses, claimsOf }: Pick<Check, "witnesses" | "claimsOf">,
  place: RootPlace,
): Promise<LogReport> {
  const reader = place.readerOf(ROOT_LOG);
  // read once: the checkpoint with the checked cosignatures is the checkpoint that the log is checked against
  const note = await reader.checkpoint();
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

/** Checks that a log has every checkpoint of it in the root log in its past. */
async function verifyAgainst(
  root: RootLeaves,
  verifier: Verifier,
  claims: Claims,
  place: RootPlace,
  nowSeconds: number,
): Promise<LogReport> {
  const name = logOfVerifier(verifier);
  const reader = place.readerOf(name);
  const seen = root.seen.get(name);
  const last = seen?.at(-1);
  // A claim about a deleted log can no longer be checked. It must not pass for checked.
  const isClaimed = (claims.since ?? []).length + (claims.receipts ?? []).length > 0;
  if (
    last !== undefined &&
    !isClaimed &&
    mayBeDeleted(name, root.seconds, nowSeconds) &&
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

/**
 * True when a log's first frame is older than the root log's last frame: it is too late then to open the log.
 */
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
