import { err, ok, type Result } from "#kernel/result";
import { utf8 } from "#kernel/encoded";
import { concat } from "#ledger/bytes/bytes";
import { Cursor } from "#ledger/bytes/cursor";
import {
  isSignature,
  parseVerifierKey,
  readNote,
  signatureLine,
  signatureTypes,
  type Verifier,
} from "./signed-note.ts";

export type CosignatureProblem = "note_malformed" | "not_cosigned" | "cosignature_wrong";

/**
 * C2SP tlog-cosignature "Ed25519 signed message": the text that a witness signs for a checkpoint at a time
 * (seconds since 1970).
 */
export const cosignedText = (text: string, seconds: number): string =>
  `cosignature/v1\ntime ${seconds}\n${text}`;

/** A cosignature as a line of the note: `timestamp u64 ‖ Ed25519 signature` behind the key id. */
export function cosignatureLine(witness: Verifier, seconds: number, signature: Uint8Array): string {
  const time = new Uint8Array(8);
  new DataView(time.buffer).setBigUint64(0, BigInt(seconds));
  return signatureLine(witness, concat([time, signature]));
}

/**
 * The time when a witness cosigned this note (seconds since 1970); the latest time if there are several. A
 * wrong cosignature by its key refuses the note, even next to a right cosignature.
 */
export function cosignedAt(note: Uint8Array, witness: Verifier): Result<number, CosignatureProblem> {
  const read = readNote(note);
  if (!read.ok) return read;
  const times: number[] = [];
  for (const { name, id, bytes } of read.value.signatures) {
    if (name !== witness.name || id !== witness.id) continue;
    const cursor = new Cursor(bytes);
    const [seconds, signature] = [cursor.u64(), cursor.bytes(64)];
    const whole =
      cursor.finished &&
      isSignature(witness.publicKey, utf8(cosignedText(read.value.text, seconds)), signature);
    if (!whole) return err("cosignature_wrong");
    times.push(seconds);
  }
  return times.length === 0 ? err("not_cosigned") : ok(Math.max(...times));
}

/** Reads the verifier key (vkey) of a witness: signature type 0x04. */
export const parseWitnessKey = (text: string): Result<Verifier, "bad_verifier_key"> =>
  parseVerifierKey(text, signatureTypes.cosignature);
