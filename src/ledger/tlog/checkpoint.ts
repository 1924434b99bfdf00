import { err, ok, type Result } from "#kernel/result";
import { fromBase64, toBase64 } from "#ledger/bytes/base64";
import { sameBytes } from "#ledger/bytes/bytes";
import { emptyRoot, HASH_BYTES } from "./merkle.ts";
import { type NoteProblem, openNote, type Verifier } from "./signed-note.ts";

/** C2SP tlog-checkpoint: a log's statement about itself at one size. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  /** The last frame at this size; absent exactly when the log is empty. */
  readonly frame?: { readonly number: number; readonly hash: Uint8Array };
}

/**
 * The signed text: origin, size, root, and the extension line `frame <n> <base64 hash>`. The extension puts
 * the chain of frames, and with it their times, under the signature. A reader can audit it, because the
 * frames are public.
 */
export function checkpointText(checkpoint: Checkpoint): string {
  const { origin, size, root, frame } = checkpoint;
  const extension = frame === undefined ? "" : `frame ${frame.number} ${toBase64(frame.hash)}\n`;
  return `${origin}\n${size}\n${toBase64(root)}\n${extension}`;
}

type TextProblem = "checkpoint_malformed" | "number_too_large";

/**
 * Reads the text of a checkpoint of this ledger. Extension lines after `frame …` come from later versions
 * and are ignored.
 */
export function parseCheckpointText(text: string): Result<Checkpoint, TextProblem> {
  if (!text.endsWith("\n")) return err("checkpoint_malformed");
  const [origin, sizeText = "", rootText = "", ...extensions] = text.slice(0, -1).split("\n");
  const [size, root] = [decimal(sizeText), fromBase64(rootText)];
  if (isTooLarge(sizeText)) return err("number_too_large");
  if (!origin || size === undefined || root?.length !== HASH_BYTES || extensions.includes(""))
    return err("checkpoint_malformed");
  const frames = extensions.filter(isFrameLine);
  if (size === 0)
    return frames.length === 0 && sameBytes(root, emptyRoot)
      ? ok({ origin, size, root })
      : err("checkpoint_malformed");
  const [, numberText = "", hashText = "", ...more] = extensions[0]?.split(" ") ?? [];
  const [number, hash] = [decimal(numberText), fromBase64(hashText)];
  const whole = frames.length === 1 && frames[0] === extensions[0] && more.length === 0;
  if (whole && isTooLarge(numberText)) return err("number_too_large");
  if (!whole || number === undefined || hash?.length !== HASH_BYTES) return err("checkpoint_malformed");
  return ok({ origin, size, root, frame: { number, hash } });
}

const isFrameLine = (line: string): boolean => line === "frame" || line.startsWith("frame ");

export type CheckpointProblem = NoteProblem | TextProblem | "checkpoint_of_another_log";

/**
 * Reads a checkpoint note and checks its signature with the key of the log, whose name is the origin line.
 *
 * @param rootIndex as for `openNote`: without it the checkpoint must be signed by a key in use.
 */
export function openCheckpoint(
  note: Uint8Array,
  verifier: Verifier,
  rootIndex?: number,
): Result<Checkpoint, CheckpointProblem> {
  const text = openNote(note, [verifier], rootIndex);
  if (!text.ok) return text;
  const checkpoint = parseCheckpointText(text.value);
  if (!checkpoint.ok) return checkpoint;
  return checkpoint.value.origin === verifier.name ? checkpoint : err("checkpoint_of_another_log");
}

/** A decimal number without leading zeros, at most 2^53 − 1. */
export function decimal(text: string | undefined): number | undefined {
  const value = text !== undefined && /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : undefined;
  return value !== undefined && Number.isSafeInteger(value) ? value : undefined;
}

/** True for a number that `decimal` refuses for its size alone. */
export const isTooLarge = (text: string): boolean => /^[1-9]\d*$/.test(text) && decimal(text) === undefined;
