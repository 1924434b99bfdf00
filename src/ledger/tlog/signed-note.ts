import { createPublicKey, verify } from "node:crypto";
import { err, ok, type Result } from "#kernel/result";
import { fromBase64, toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#kernel/encoded";
import { concat, fromUtf8 } from "#ledger/bytes/bytes";
import { sha256 } from "#ledger/bytes/hash";

/**
 * C2SP signed-note "Signature types": an Ed25519 signature of the text, and a timestamped Ed25519
 * cosignature of a checkpoint.
 */
export const signatureTypes = { ed25519: 0x01, cosignature: 0x04 } as const;
export type SignatureType = (typeof signatureTypes)[keyof typeof signatureTypes];
const KEY_BYTES = 32;
// Verifiers must accept at least 16 signatures; these two keep a hostile note small.
const SIGNATURES_MAX = 64;
const NOTE_BYTES_MAX = 1_048_576;

/** A public key for checking notes. */
export interface Verifier {
  readonly name: string;
  readonly id: number; // u32
  readonly publicKey: Uint8Array; // Ed25519, 32 bytes
  /** Keys that the same signer used before or will use next: a signature of any of them counts (docs/keys.md). */
  readonly further?: readonly (FurtherKey & { readonly id: number })[];
}

/** A further key of a signer. */
export interface FurtherKey {
  readonly publicKey: Uint8Array;
  /**
   * Size of the root log at which the key ended (ADR 82): the key signs no root leaf from this index on, and
   * no present checkpoint. Absent: the key counts everywhere.
   */
  readonly end?: number;
}

/** The verifier of a log's name with its key, and with further keys of the same signer. */
export function verifierOfKeys(
  name: string,
  publicKey: Uint8Array,
  further: readonly FurtherKey[] = [],
): Verifier {
  const first = { name, id: keyId(name, publicKey), publicKey };
  const all = further.map(({ publicKey: key, end }) => ({
    id: keyId(name, key),
    publicKey: key,
    ...(end === undefined ? {} : { end }),
  }));
  return all.length === 0 ? first : { ...first, further: all };
}

export type NoteProblem =
  | "note_malformed"
  | "note_not_signed_by_a_known_key"
  | "note_signed_by_a_key_that_ended"
  | "note_signature_wrong";

/**
 * C2SP signed-note "Signatures": the first four bytes of SHA-256(name ‖ 0x0A ‖ signature type ‖ public key).
 */
export function keyId(
  name: string,
  publicKey: Uint8Array,
  type: SignatureType = signatureTypes.ed25519,
): number {
  const hash = sha256(utf8(name), Uint8Array.of(0x0a, type), publicKey);
  return new DataView(hash.buffer, hash.byteOffset).getUint32(0);
}

/** The verifier key text (vkey) of an Ed25519 key: `<name>+<8 hex digits>+<base64>`. */
export const verifierKey = (
  name: string,
  publicKey: Uint8Array,
  type: SignatureType = signatureTypes.ed25519,
): string =>
  `${name}+${hexId(keyId(name, publicKey, type))}+${toBase64(concat([Uint8Array.of(type), publicKey]))}`;

/** A verifier as the text that `parseVerifierKey` reads. */
export const verifierText = ({ name, publicKey, further = [] }: Verifier): string =>
  [
    verifierKey(name, publicKey),
    ...further.map((key) => verifierKey(name, key.publicKey) + (key.end === undefined ? "" : `@${key.end}`)),
  ].join(" ");

/** Answers whether `known` has each public key of this verifier, under the same name. Order and ends do not count. */
export const hasKeysOf = (known: Verifier, { name, publicKey, further = [] }: Verifier): boolean => {
  const texts = new Set(
    [known, ...(known.further ?? [])].map((key) => verifierKey(known.name, key.publicKey)),
  );
  return [publicKey, ...further.map((key) => key.publicKey)].every((key) =>
    texts.has(verifierKey(name, key)),
  );
};

const KEYS_OF_NAME_MAX = 8;

/**
 * Reads a vkey. Only Ed25519 of the requested type is accepted, and only with the id that follows from name
 * and key. Up to eight vkeys of one log, separated by single spaces, are one verifier: a key that was replaced
 * stays in the text, with `@` and the size of the root log at which it ended. At least one key has no end.
 */
export function parseVerifierKey(
  text: string,
  type: SignatureType = signatureTypes.ed25519,
): Result<Verifier, "bad_verifier_key"> {
  const words = text.split(" ");
  if (words.length === 1) return parseSingleKey(text, type);
  const keys = words.flatMap((word) => parseEndingKey(word, type) ?? []);
  const [first, ...further] = keys.sort((left, right) => Number("end" in left) - Number("end" in right));
  const isGood =
    type === signatureTypes.ed25519 &&
    keys.length === words.length &&
    words.length <= KEYS_OF_NAME_MAX &&
    new Set(keys.map(({ name, publicKey }) => verifierKey(name, publicKey))).size === words.length &&
    further.every(({ name }) => name === first?.name);
  if (!isGood || first === undefined || "end" in first) return err("bad_verifier_key");
  return ok(verifierOfKeys(first.name, first.publicKey, further));
}

function parseEndingKey(
  word: string,
  type: SignatureType,
): (FurtherKey & { readonly name: string }) | undefined {
  const [, text = word, end] = /^(.*)@([1-9]\d{0,14})$/u.exec(word) ?? [];
  const key = parseSingleKey(text, type);
  if (!key.ok) return undefined;
  const { name, publicKey } = key.value;
  return end === undefined ? { name, publicKey } : { name, publicKey, end: Number(end) };
}

function parseSingleKey(text: string, type: SignatureType): Result<Verifier, "bad_verifier_key"> {
  const match = /^([^+\p{White_Space}]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)$/u.exec(text);
  const [, name = "", id = "", encoded = ""] = match ?? [];
  const bytes = fromBase64(encoded);
  if (match === null || bytes?.length !== 1 + KEY_BYTES || bytes[0] !== type) return err("bad_verifier_key");
  const publicKey = bytes.subarray(1);
  return hexId(keyId(name, publicKey, type)) === id
    ? ok({ name, id: Number.parseInt(id, 16), publicKey })
    : err("bad_verifier_key");
}

/** A note: the text (which must end in a newline), a blank line, and a signature line. */
export const noteOf = (text: string, signer: Verifier, signature: Uint8Array): string =>
  `${text}\n${signatureLine(signer, signature)}`;

/** A signature line of a note, with its newline. */
export function signatureLine(signer: Pick<Verifier, "name" | "id">, signature: Uint8Array): string {
  const id = new Uint8Array(4);
  new DataView(id.buffer).setUint32(0, signer.id);
  return `— ${signer.name} ${toBase64(concat([id, signature]))}\n`;
}

/**
 * The text of a note that is signed by a known key. Signatures by unknown keys (for example witnesses'
 * cosignatures) are ignored, as the specification asks. A wrong signature by a known key refuses the note,
 * even next to a right signature. A key that ended counts only in a note of the past.
 *
 * @param rootIndex index of the note in the root log, for a note of the past; without it the note is of the present.
 */
export function openNote(
  note: Uint8Array,
  known: readonly Verifier[],
  rootIndex = Infinity,
): Result<string, NoteProblem> {
  const read = readNote(note);
  if (!read.ok) return read;
  const { text, signatures } = read.value;
  let [signed, ended] = [false, false];
  for (const signature of signatures) {
    const key = keyOf(signature, known);
    if (key === undefined) continue;
    if (key.end !== undefined && key.end <= rootIndex) {
      ended = true;
      continue;
    }
    if (!isSignature(key.publicKey, utf8(text), signature.bytes)) return err("note_signature_wrong");
    signed = true;
  }
  if (signed) return ok(text);
  return err(ended ? "note_signed_by_a_key_that_ended" : "note_not_signed_by_a_known_key");
}

function keyOf({ name, id }: NoteSignature, known: readonly Verifier[]): FurtherKey | undefined {
  for (const verifier of known) {
    if (verifier.name !== name) continue;
    const key = verifier.id === id ? verifier : verifier.further?.find((each) => each.id === id);
    if (key !== undefined) return key;
  }
  return undefined;
}

/** A signature line as it stands in a note; `bytes` follow the key id. */
export interface NoteSignature {
  readonly name: string;
  readonly id: number; // u32
  readonly bytes: Uint8Array;
}

/** Takes a note apart. Nothing in it is proven yet. */
export function readNote(
  note: Uint8Array,
): Result<{ readonly text: string; readonly signatures: readonly NoteSignature[] }, "note_malformed"> {
  const whole = note.length > NOTE_BYTES_MAX ? undefined : fromUtf8(note);
  const split = whole?.lastIndexOf("\n\n") ?? -1;
  // Control characters other than newline are forbidden anywhere in a note.
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (whole === undefined || split < 0 || !whole.endsWith("\n") || /[\u0000-\u0009\u000b-\u001f]/.test(whole))
    return err("note_malformed");
  const text = whole.slice(0, split + 1);
  const lines = whole.slice(split + 2, -1).split("\n");
  const signatures = lines.flatMap((line) => readSignature(line) ?? []);
  return lines.length > SIGNATURES_MAX || signatures.length < lines.length
    ? err("note_malformed")
    : ok({ text, signatures });
}

// C2SP signed-note: no Unicode spaces in a key name. `\s` is a different set: with U+FEFF, without U+0085.
function readSignature(line: string): NoteSignature | undefined {
  const [, name, encoded] = /^— ([^+\p{White_Space}]+) (\S+)$/u.exec(line) ?? [];
  const bytes = encoded === undefined ? undefined : fromBase64(encoded);
  if (name === undefined || bytes === undefined || bytes.length <= 4) return undefined;
  return { name, id: new DataView(bytes.buffer, bytes.byteOffset).getUint32(0), bytes: bytes.subarray(4) };
}

/** True when an Ed25519 public key (32 bytes) signed this message. */
export function isSignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const x = Buffer.from(publicKey).toString("base64url");
  return verify(
    null,
    message,
    createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }),
    signature,
  );
}

const hexId = (id: number): string => id.toString(16).padStart(8, "0");
