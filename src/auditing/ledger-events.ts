import type { JWK } from "jose";
import { DefinitionIndex } from "#audit/definition-index";
import { type AuditEvent, definitionKind } from "#audit/event";
import type { AuditRecord } from "#audit/record";
import { isNextPart, rejoin } from "#audit/rejoin";
import { withCurrentReasons } from "#audit/renamed-reasons";
import { toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#kernel/encoded";
import { sha256 } from "#ledger/bytes/hash";
import { parseLeaf } from "#ledger/leaf/leaf";
import { leafHash } from "#ledger/tlog/merkle";
import { mayBeDeleted, ROOT_LOG, RootLeaves } from "#ledger/root-log";
import type { LogReader } from "#ledger/ports";
import type { Verifier } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import { CheckedLog } from "./checked-log.ts";
import { onceMoreIfLate } from "./late-checkpoint.ts";
import { LeafOpener, type Unopened } from "./leaf-opener.ts";
import { logOfVerifier } from "#ledger/log-of-verifier";
import { sentence } from "./sentence.ts";
import { keysWithRoot, rootKeyOf } from "./ledger-root.ts";

/**
 * The location of the logs, the public keys that verify them, and the private keys that open their leaves.
 */
export interface AuditorSource {
  readonly keys: readonly Verifier[];
  readonly auditors: readonly JWK[];
  /** Logs to read; empty for all. */
  readonly only: readonly string[];
  readonly readerOf: (log: string) => LogReader;
  /** The reader's own time, in seconds since 1970. */
  readonly nowSeconds: number;
  readonly wait: (milliseconds: number) => Promise<unknown>;
  /** A log was deleted six years after its end: its events are not read. */
  readonly onDeleted: (log: string) => void;
}

/**
 * An event as a log records it. `leaves` are the leaves of its records, fewer than `parts` when some could
 * not be opened.
 */
export interface EventOnRecord {
  readonly log: CheckedLog;
  readonly frame: { readonly number: number; readonly hash: Uint8Array; readonly seconds: number };
  readonly leaves: readonly { readonly index: number; readonly hash: Uint8Array }[];
  readonly parts: number;
  /** The event, with its reasons under their current names. */
  readonly event: AuditEvent;
  /** Record keys that this version does not know. */
  readonly unknownKeys: readonly number[];
}

/** A part of the ledger that could not be read: a log that failed its check, or a leaf that did not open. */
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
 * Every event of every log, log by log, in the order of the records. A log is checked whole before any of its
 * events is yielded; a log that fails yields only the failure. With the root log's key, the root log decides
 * which logs exist and which checkpoints they must extend. An event that was recorded twice, after a lost
 * answer, is yielded once. Two events that differ are both yielded, even under the same id. Definitions are
 * not yielded: each event has the content that it names; an event whose definition is absent comes without
 * it, next to the failure.
 */
export async function* eventsOf(source: AuditorSource): AsyncGenerator<EventOnRecord | Unread> {
  const seen = new Set<string>();
  const { wrong, logs } = await logsOf(source);
  if (wrong !== undefined) yield { log: ROOT_LOG, wrong };
  for (const { verifier, since } of logs) {
    const checked = await onceMoreIfLate(
      () => CheckedLog.check(source.readerOf(logOfVerifier(verifier)), verifier, since),
      source.wait,
    );
    if (!checked.ok) {
      yield { log: logOfVerifier(verifier), wrong: sentence(checked.error) };
      continue;
    }
    const log = checked.value;
    const definitions = new DefinitionIndex();
    let parts: Found[] = [];
    for await (const found of recordsOf(log, new LeafOpener(log.origin, source.auditors))) {
      if ("why" in found) {
        yield found;
        continue;
      }
      if (found.record.event.kind === definitionKind) {
        const added = definitions.add(found.record);
        if (!added.ok)
          yield { log: log.name, wrong: `leaf ${found.index}: the definition is not what its digest names` };
        continue;
      }
      const last = parts.at(-1);
      if (last !== undefined && isNextPart(last.record, found.record)) parts.push(found);
      else {
        yield* firstCopy(seen, log, parts, definitions);
        parts = [found];
      }
    }
    yield* firstCopy(seen, log, parts, definitions);
  }
}

/**
 * The logs to read, each with its checkpoints in the root log. Logs that may be deleted, and are absent, are
 * left out.
 */
async function logsOf({ keys, only, readerOf, nowSeconds, onDeleted }: AuditorSource) {
  const isSelected = (verifier: Verifier): boolean =>
    only.length === 0 || only.includes(logOfVerifier(verifier));
  const logs = keys.filter((key) => logOfVerifier(key) !== ROOT_LOG && isSelected(key));
  const root = rootKeyOf(keys);
  if (root === undefined) return { logs: logs.map((verifier) => ({ verifier, since: [] })) };
  const leaves = new RootLeaves(root);
  const result = await verifyLog(readerOf(ROOT_LOG), root, {}, leaves);
  if (!result.ok)
    return { wrong: sentence(result.error), logs: logs.map((verifier) => ({ verifier, since: [] })) };
  const present = [];
  for (const verifier of keysWithRoot(logs, root, leaves).filter(isSelected)) {
    const name = logOfVerifier(verifier);
    if (mayBeDeleted(name, leaves.seconds, nowSeconds) && (await readerOf(name).checkpoint()) === undefined) {
      onDeleted(name);
      continue;
    }
    present.push({ verifier, since: leaves.seen.get(name) ?? [] });
  }
  return { logs: present };
}

async function* recordsOf(log: CheckedLog, opener: LeafOpener): AsyncGenerator<Found | UnopenedLeaf> {
  for await (const { number, hash, seconds, first, leaves } of log.frames()) {
    for (const [i, bytes] of leaves.entries()) {
      const leaf = parseLeaf(bytes);
      if (!leaf.ok) throw new Error(`${log.name}: a verified leaf cannot be parsed`); // verifyLog parsed it
      const [record, index] = [await opener.open(leaf.value), first + i];
      if (record === undefined) continue;
      if (record.ok)
        yield { frame: { number, hash, seconds }, index, hash: leafHash(bytes), record: record.value };
      else yield { log: log.name, index, keyEpoch: leaf.value.keyEpoch, why: record.error };
    }
  }
}

function* firstCopy(
  seen: Set<string>,
  log: CheckedLog,
  found: readonly Found[],
  definitions: DefinitionIndex,
): Generator<EventOnRecord | Unread> {
  const [first] = found;
  if (first === undefined) return;
  const { record, frame } = first;
  const event = rejoin(found.map((part) => part.record));
  // The digest covers the content, so another event under the same id and step cannot hide this event. It
  // includes the number of the first part: a later part alone is the rest of an event whose first leaf did
  // not open.
  const digest = toBase64(sha256(utf8(JSON.stringify([record.part, event]))));
  if (seen.has(digest)) return;
  seen.add(digest);
  const leaves = found.map(({ index, hash }) => ({ index, hash }));
  const unknownKeys = [...new Set(found.flatMap((part) => [...part.record.unknown.keys()]))];
  const resolved = definitions.resolve(event);
  if (!resolved.ok)
    yield {
      log: log.name,
      wrong: `leaf ${leaves[0]?.index} names withheld paths that no leaf before it defines`,
    };
  const whole = withCurrentReasons(resolved.ok ? resolved.value : event);
  yield { log, frame, leaves, parts: record.parts, event: whole, unknownKeys };
}
