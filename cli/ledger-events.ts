import type { AuditEvent } from "#audit/event";
import type { AuditRecord } from "#audit/record";
import { isNextPart, rejoin } from "#audit/rejoin";
import { withCurrentReasons } from "#audit/renamed-reasons";
import { toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#ledger/bytes/bytes";
import { sha256 } from "#ledger/bytes/hash";
import { parseLeaf } from "#ledger/leaf/leaf";
import { leafHash } from "#ledger/tlog/merkle";
import { mayBeDeleted, ROOT_LOG, RootLeaves } from "#ledger/root-log";
import type { Verifier } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import type { AuditorSource } from "./auditor-source.ts";
import { CheckedLog } from "./checked-log.ts";
import { onceMoreIfLate } from "./late-checkpoint.ts";
import { LeafOpener, type Unopened } from "./leaf-opener.ts";
import { logOf } from "./ledger-keys.ts";
import { sentence } from "./ledger-report.ts";
import { keysWithRoot, rootKeyOf } from "./ledger-root.ts";

/** An event as it stands in a log: `leaves` are those of its records, and fewer than `parts` when not all of them could be opened. */
export interface EventOnRecord {
  readonly log: CheckedLog;
  readonly frame: { readonly number: number; readonly hash: Uint8Array };
  readonly leaves: readonly { readonly index: number; readonly hash: Uint8Array }[];
  readonly parts: number;
  /** With the reasons as this version names them. */
  readonly event: AuditEvent;
  /** Keys of its records that this version does not know. */
  readonly unknownKeys: readonly number[];
}

/** What could not be read: a log whose check failed, or a leaf that did not open. */
export type Unread = { readonly log: string; readonly wrong: string } | UnopenedLeaf;

interface UnopenedLeaf {
  readonly log: string;
  readonly index: number;
  readonly keyEpoch: number;
  readonly why: Unopened;
}

interface Found {
  readonly frame: EventOnRecord["frame"];
  readonly index: number;
  readonly hash: Uint8Array;
  readonly record: AuditRecord;
}

/**
 * Every event of every log, log by log, in the order of its records. A log is checked whole before anything of it is given; one that is
 * wrong gives nothing but that. With the root log's key its word is taken for which logs there are and what they must extend. The same
 * event recorded twice, after an answer was lost, comes once; two that differ are two, whatever they are called.
 */
export async function* eventsOf(source: AuditorSource): AsyncGenerator<EventOnRecord | Unread> {
  const seen = new Set<string>();
  const { wrong, logs } = await logsOf(source);
  if (wrong !== undefined) yield { log: ROOT_LOG, wrong };
  for (const { verifier, since } of logs) {
    const checked = await onceMoreIfLate(() =>
      CheckedLog.check(source.readerOf(logOf(verifier)), verifier, since),
    );
    if (!checked.ok) {
      yield { log: logOf(verifier), wrong: sentence(checked.error) };
      continue;
    }
    const log = checked.value;
    let parts: Found[] = [];
    for await (const found of recordsOf(log, new LeafOpener(log.origin, source.auditors))) {
      if ("why" in found) {
        yield found;
        continue;
      }
      const last = parts.at(-1);
      if (last !== undefined && isNextPart(last.record, found.record)) parts.push(found);
      else {
        yield* once(seen, log, parts);
        parts = [found];
      }
    }
    yield* once(seen, log, parts);
  }
}

/** The logs to read, with the checkpoints that the root log has of each; those that may be gone, and are, are left out. */
async function logsOf({ keys, only, readerOf }: AuditorSource) {
  const isAsked = (verifier: Verifier): boolean => only.length === 0 || only.includes(logOf(verifier));
  const logs = keys.filter((key) => logOf(key) !== ROOT_LOG && isAsked(key));
  const root = rootKeyOf(keys);
  if (root === undefined) return { logs: logs.map((verifier) => ({ verifier, since: [] })) };
  const leaves = new RootLeaves(root);
  const result = await verifyLog(readerOf(ROOT_LOG), root, {}, leaves);
  if (!result.ok)
    return { wrong: sentence(result.error), logs: logs.map((verifier) => ({ verifier, since: [] })) };
  const there = [];
  for (const verifier of keysWithRoot(logs, root, leaves).filter(isAsked)) {
    const name = logOf(verifier);
    if (
      mayBeDeleted(name, leaves.seconds, Date.now() / 1000) &&
      (await readerOf(name).checkpoint()) === undefined
    ) {
      console.error(`${name}: removed, as it may be six years after its half-year: what it had is not read`);
      continue;
    }
    there.push({ verifier, since: leaves.seen.get(name) ?? [] });
  }
  return { logs: there };
}

async function* recordsOf(log: CheckedLog, opener: LeafOpener): AsyncGenerator<Found | UnopenedLeaf> {
  for await (const { number, hash, first, leaves } of log.frames()) {
    for (const [i, bytes] of leaves.entries()) {
      const leaf = parseLeaf(bytes);
      if (!leaf.ok) throw new Error(`${log.name}: a checked leaf is none`); // verifyLog parsed it
      const [record, index] = [await opener.open(leaf.value), first + i];
      if (record === undefined) continue;
      if (record.ok) yield { frame: { number, hash }, index, hash: leafHash(bytes), record: record.value };
      else yield { log: log.name, index, keyEpoch: leaf.value.keyEpoch, why: record.error };
    }
  }
}

function* once(seen: Set<string>, log: CheckedLog, found: readonly Found[]): Generator<EventOnRecord> {
  const [first] = found;
  if (first === undefined) return;
  const { record, frame } = first;
  const event = rejoin(found.map((one) => one.record));
  // By what it says: another event under the same id and step must not hide this one. The first part is part of it: a later one alone is
  // what is left of an event whose first leaf did not open.
  const digest = toBase64(sha256(utf8(JSON.stringify([record.part, event]))));
  if (seen.has(digest)) return;
  seen.add(digest);
  const leaves = found.map(({ index, hash }) => ({ index, hash }));
  const unknownKeys = [...new Set(found.flatMap((one) => [...one.record.unknown.keys()]))];
  yield { log, frame, leaves, parts: record.parts, event: withCurrentReasons(event), unknownKeys };
}
