import type { AuditEvent } from "#audit/event";
import type { Counted, DefinitionMissing, LayoutDiffers, LogRefuses, Recorded, Replayed } from "#audit/ports";
import { fromBase64, toBase64 } from "#ledger/bytes/base64";

// An event as an object costs a call of a Durable Object more than all its checks: the runtime writes and reads
// it member by member. A text is copied.

/** The events of an append as they travel to a log. The log checks them as it checks objects. */
export const eventsText = (events: readonly AuditEvent[]): string => JSON.stringify(events);

/** Throws a TypeError for a text that is no JSON. Its message contains no part of the text. */
export function readEventsText(text: string): readonly AuditEvent[] {
  try {
    return JSON.parse(text) as readonly AuditEvent[]; // unchecked, like the argument of a call
  } catch {
    throw new TypeError("ledger: the events of an append are not JSON");
  }
}

export type AppendAnswer = Recorded | Counted | Replayed | DefinitionMissing | LayoutDiffers;

/** An answer as it travels: a log that refuses answers too, so that its caller tells a refusal from a fault. */
export type SentAnswer = AppendAnswer | LogRefuses;

/** Thrown by a log that takes no records, before it does anything of an append. */
export class RefusedAppend extends Error {}

// The runtime brings an error of a constructor to the caller as a message alone.
const startRefusal = "ledger: this log does not start: ";

/** The error of a log whose object does not start. */
export const refusedStart = (fault: unknown): RefusedAppend =>
  new RefusedAppend(startRefusal + (fault instanceof Error ? fault.message : "unknown"));

/** True for a fault that says that the log's object did not start: the append did not reach it. */
export const isRefusedStart = (fault: unknown): boolean =>
  fault instanceof Error && fault.message.includes(startRefusal);

const recordedWord = "recorded";
const words: ReadonlySet<string> = new Set([
  "counted",
  "replayed",
  "definition missing",
  "layout differs",
  "refused",
] satisfies Exclude<SentAnswer, Recorded>[]);

const isWord = (text: string): text is Exclude<SentAnswer, Recorded> => words.has(text);

/** A log's answer to an append. */
export function answerText(answer: SentAnswer): string {
  if (typeof answer === "string") return answer;
  const { log, index, count, frame, leafHash, frameHash } = answer;
  return `${recordedWord} ${log} ${index} ${count} ${frame} ${toBase64(leafHash)} ${toBase64(frameHash)}`;
}

/** Throws for a malformed answer. */
export function readAnswerText(text: string): SentAnswer {
  if (isWord(text)) return text;
  const [word, log = "", index, count, frame, leaf = "", hash = ""] = text.split(" ");
  const place = { log, index: Number(index), count: Number(count), frame: Number(frame) };
  const [leafHash, frameHash] = [fromBase64(leaf), fromBase64(hash)];
  const isWhole =
    word === recordedWord &&
    [place.index, place.count, place.frame].every((one) => Number.isSafeInteger(one));
  if (!isWhole || leafHash?.length !== 32 || frameHash?.length !== 32)
    throw new Error("ledger: an answer is malformed");
  return { ...place, leafHash, frameHash };
}
