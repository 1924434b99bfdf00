import { utf8 } from "#kernel/encoded";
import { fromUtf8, concat } from "#ledger/bytes/bytes";
import { decimal } from "#ledger/tlog/checkpoint";
import { cosignedAt } from "#ledger/tlog/cosignature";
import { readNote, signatureLine } from "#ledger/tlog/signed-note";
import { type AddCheckpoint, writeAddCheckpoint } from "#ledger/tlog/witness-request";
import type { WitnessPlace } from "./config.ts";

const PATIENCE_MS = 5_000;
// A cosignature line is under 500 bytes; a witness may have several keys.
const ANSWER_BYTES_MAX = 16_384;

/**
 * A witness's reply: a cosignature line by its key, or the size of the last checkpoint that it claims to
 * have cosigned.
 */
export type WitnessReply =
  | { readonly kind: "cosigned"; readonly line: string }
  | { readonly kind: "elsewhere"; readonly size: number };

/**
 * C2SP tlog-witness `add-checkpoint`, once. Throws when the witness cannot be reached in five seconds, or
 * gives any other answer. A different root of equal size is 409 without a size in the text of 2025, and 422
 * in the text of 2026; a stale old size is 409 with a size in both.
 */
export async function askWitness(
  { url, verifier }: WitnessPlace,
  request: AddCheckpoint,
): Promise<WitnessReply> {
  // A redirect would give the witness's part to any server it names; workerd has no `redirect: "error"`.
  const response = await fetch(`${url}/add-checkpoint`, {
    method: "POST",
    body: writeAddCheckpoint(request),
    redirect: "manual",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const body = await bodyOf(response);
  if (response.status === 409) {
    const isSize = /^text\/x\.tlog\.size *(?:;|$)/iu.test(response.headers.get("content-type") ?? "");
    const size = isSize ? decimal(fromUtf8(body)?.replace(/\n$/, "")) : undefined;
    if (size === undefined) throw new Error("witness: it cosigned another tree of this size");
    return { kind: "elsewhere", size };
  }
  if (response.status !== 200) throw new Error(`witness: it answered ${response.status}`);
  // The specification's way to read the answer: as a part of the resulting note, where the note's own rules
  // apply.
  const whole = concat([request.checkpoint, body]);
  const read = readNote(whole);
  const byWitness = read.ok
    ? read.value.signatures.filter(({ name, id }) => name === verifier.name && id === verifier.id)
    : [];
  const [signature] = byWitness;
  const at = cosignedAt(whole, verifier);
  // The text of 2026: a cosignature of a whole tree has a time.
  if (signature === undefined || !at.ok || at.value === 0)
    throw new Error("witness: its answer is not a cosignature by its key");
  return { kind: "cosigned", line: signatureLine(verifier, signature.bytes) };
}

async function bodyOf(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.length;
    if (length > ANSWER_BYTES_MAX) throw new Error("witness: its answer is too long");
    parts.push(part);
  }
  return parts.length === 0 ? utf8("") : concat(parts);
}
