import { err, ok, type Result } from "#kernel/result";
import { fromBase64, toBase64 } from "./base64.ts";
import { sameBytes } from "./bytes.ts";
import { emptyRoot, HASH_BYTES } from "./merkle.ts";
import { type NoteProblem, openNote, type Verifier } from "./signed-note.ts";

/** C2SP tlog-checkpoint: what a log says about itself at one size. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  /** The last frame at this size; absent exactly when the log is empty. */
  readonly frame?: { readonly number: number; readonly hash: Uint8Array };
}

/**
 * The text that is signed: origin, size, root, and one extension line `frame <n> <base64 hash>`. The extension puts the chain of
 * frames, and with it their times, under the signature; a reader can audit it, because the frames are public.
 */
export function checkpointText(checkpoint: Checkpoint): string {
  const { origin, size, root, frame } = checkpoint;
  const extension = frame === undefined ? "" : `frame ${frame.number} ${toBase64(frame.hash)}\n`;
  return `${origin}\n${size}\n${toBase64(root)}\n${extension}`;
}

/** Reads the text of a checkpoint of this ledger. Any other extension line is refused. */
export function parseCheckpointText(text: string): Result<Checkpoint, "checkpoint_malformed"> {
  const [origin, sizeText, rootText, extension, ...rest] = text.split("\n");
  const size = decimal(sizeText);
  const root = fromBase64(rootText ?? "");
  if (!text.endsWith("\n") || !origin || size === undefined || root?.length !== HASH_BYTES) return err("checkpoint_malformed");
  if (size === 0) {
    return extension === "" && rest.length === 0 && sameBytes(root, emptyRoot) ? ok({ origin, size, root }) : err("checkpoint_malformed");
  }
  const [word, numberText, hashText, ...more] = extension?.split(" ") ?? [];
  const number = decimal(numberText);
  const hash = fromBase64(hashText ?? "");
  const whole = word === "frame" && more.length === 0 && rest.length === 1 && rest[0] === "";
  if (!whole || number === undefined || hash?.length !== HASH_BYTES) return err("checkpoint_malformed");
  return ok({ origin, size, root, frame: { number, hash } });
}

export type CheckpointProblem = NoteProblem | "checkpoint_malformed" | "checkpoint_of_another_log";

/** Reads a checkpoint note and checks its signature with the key of the log, whose name is the origin line. */
export function openCheckpoint(note: Uint8Array, verifier: Verifier): Result<Checkpoint, CheckpointProblem> {
  const text = openNote(note, [verifier]);
  if (!text.ok) return text;
  const checkpoint = parseCheckpointText(text.value);
  if (!checkpoint.ok) return checkpoint;
  return checkpoint.value.origin === verifier.name ? checkpoint : err("checkpoint_of_another_log");
}

/** A decimal number without leading zeros, within 2^53. */
export function decimal(text: string | undefined): number | undefined {
  const value = text !== undefined && /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : undefined;
  return value !== undefined && Number.isSafeInteger(value) ? value : undefined;
}
