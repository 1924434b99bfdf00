import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { openCheckpoint, parseCheckpointText } from "#ledger/tlog/checkpoint";
import {
  hasKeysOf,
  keyId,
  noteOf,
  openNote,
  parseVerifierKey,
  type Verifier,
  verifierKey,
  verifierText,
} from "#ledger/tlog/signed-note";

// C2SP signed-note, "Verifier keys", "Example".
const exampleKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const exampleNote =
  "This is an example message.\n\n" +
  "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
// golang.org/x/mod/sumdb/note, example_test.go and note_test.go.
const peterKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const peterText =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const peterNote = `${peterText}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;

function known(...texts: readonly string[]): Verifier[] {
  return texts.map((text) => {
    const key = parseVerifierKey(text);
    if (!key.ok) throw new Error(text);
    return key.value;
  });
}

test("the notes of two independent implementations open with their keys, and each only with its own", ({
  expect,
}) => {
  expect(openNote(utf8(exampleNote), known(exampleKey))).toEqual({
    ok: true,
    value: "This is an example message.\n",
  });
  expect(openNote(utf8(peterNote), known(exampleKey, peterKey))).toEqual({ ok: true, value: peterText });
  expect(openNote(utf8(peterNote), known(exampleKey))).toEqual({
    ok: false,
    error: "note_not_signed_by_a_known_key",
  });
  expect(openNote(utf8(peterNote), [])).toEqual({ ok: false, error: "note_not_signed_by_a_known_key" });
});

test("a verifier key is written as it was read, and no mangled key is read", ({ expect }) => {
  for (const text of [exampleKey, peterKey]) {
    const [key] = known(text);
    expect(key && verifierKey(key.name, key.publicKey)).toBe(text);
    for (let i = 0; i < text.length; i++) {
      expect(parseVerifierKey(text.slice(0, i)).ok, text.slice(0, i)).toBe(false);
      const other = text.charCodeAt(i) ^ 1;
      expect(parseVerifierKey(text.slice(0, i) + String.fromCharCode(other) + text.slice(i + 1)).ok).toBe(
        false,
      );
    }
  }
});

test("a note with a byte changed or cut off never opens", ({ expect }) => {
  const bytes = utf8(peterNote);
  for (let i = 0; i < bytes.length; i++) {
    expect(openNote(bytes.subarray(0, i), known(peterKey)).ok, `cut at ${i}`).toBe(false);
    for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
      expect(
        openNote(
          Uint8Array.from(bytes, (byte, j) => (i === j ? byte ^ bit : byte)),
          known(peterKey),
        ).ok,
        `byte ${i}`,
      ).toBe(false);
    }
  }
});

test("signatures of unknown keys are ignored; a wrong signature of a known key refuses the note, even next to a right signature", ({
  expect,
}) => {
  const [, stranger = ""] = exampleNote.split("\n\n");
  expect(openNote(utf8(peterNote + stranger), known(peterKey)).ok).toBe(true);
  expect(openNote(utf8(peterNote + stranger), known(peterKey, exampleKey))).toEqual({
    ok: false,
    error: "note_signature_wrong",
  });
  const [own = ""] = peterNote.split("\n\n").slice(1);
  const sameNameOtherId = own.replace(" x08g", " y08g");
  // C2SP tlog-cosignature: key id, u64 time, signature. The first has a foreign key name, the second the
  // log's own name.
  const cosignature = `— witness.example/w ${Buffer.alloc(4 + 8 + 64, 5).toString("base64")}\n`;
  const lines = [own, cosignature, sameNameOtherId, own];
  expect(openNote(utf8(`${peterText}\n${lines.join("")}`), known(peterKey))).toEqual({
    ok: true,
    value: peterText,
  });
  const wrong = own.replace("JnAM=", "JnAA=");
  expect(wrong).not.toBe(own);
  expect(openNote(utf8(peterNote + wrong), known(peterKey))).toEqual({
    ok: false,
    error: "note_signature_wrong",
  });
});

test("a key that ended opens notes of the past below its end, and no note of the present", ({ expect }) => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = new Uint8Array(Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url"));
  const inUse = verifierKey("a@b.test/root", new Uint8Array(32).fill(7));
  const old = verifierKey("a@b.test/root", raw);
  const signer = { name: "a@b.test/root", id: keyId("a@b.test/root", raw), publicKey: raw };
  const note = utf8(noteOf("x\n", signer, sign(null, utf8("x\n"), privateKey)));
  const [both] = known(`${old}@5 ${inUse}`);
  if (both === undefined) throw new Error("no verifier");
  expect(verifierText(both)).toBe(`${inUse} ${old}@5`);
  const ended = { ok: false, error: "note_signed_by_a_key_that_ended" };
  expect([openNote(note, [both]), openNote(note, [both], 5)]).toEqual([ended, ended]);
  expect(openNote(note, [both], 4)).toEqual({ ok: true, value: "x\n" });
  expect(openNote(note, known(`${inUse} ${old}`)).ok).toBe(true);
  for (const text of [
    `${old}@5`,
    `${inUse}@5 ${old}@5`,
    `${inUse} ${inUse}@5`,
    `${inUse} ${old}@0`,
    `${inUse} ${old}@`,
  ])
    expect(parseVerifierKey(text).ok, text).toBe(false);
  expect([hasKeysOf(both, known(old)[0] ?? both), hasKeysOf(known(old)[0] ?? both, both)]).toEqual([
    true,
    false,
  ]);
});

test("control characters, missing newlines, spaces in names and floods of signatures are no notes", ({
  expect,
}) => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const key = new Uint8Array(Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url"));
  const signer = { name: "a", id: keyId("a", key), publicKey: key };
  const noted = (text: string): string => noteOf(text, signer, sign(null, utf8(text), privateKey));
  expect(openNote(utf8(noted("fine\n")), [signer]).ok).toBe(true);
  for (const bad of [
    noted("tab\there\n"),
    noted("null\0\n"),
    noted("return\r\n"),
    noted("no end").trimEnd(),
    `${noted("x\n")}— a  b c\n`,
    `${noted("x\n")}free text\n`,
  ]) {
    expect(openNote(utf8(bad), [signer]), JSON.stringify(bad)).toEqual({
      ok: false,
      error: "note_malformed",
    });
  }
  const [text = "", line = ""] = noted("x\n").split("\n\n");
  expect(openNote(utf8(`${text}\n\n${line.repeat(16)}`), [signer]).ok).toBe(true);
  expect(openNote(utf8(`${text}\n\n${line.repeat(65)}`), [signer]).ok).toBe(false);
  expect(openNote(Uint8Array.of(0xff, 0x0a, 0x0a), [signer]).ok).toBe(false);
});

test("the text of a checkpoint has a single spelling, and extension lines of later versions are ignored", ({
  expect,
}) => {
  const hash = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
  const good = `o\n5\n${hash}\nframe 3 ${hash}\n`;
  expect(parseCheckpointText(good)).toMatchObject({
    ok: true,
    value: { origin: "o", size: 5, frame: { number: 3 } },
  });
  const empty = "o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
  expect(parseCheckpointText(empty)).toMatchObject({ ok: true, value: { size: 0 } });
  expect(parseCheckpointText(`${good}later 1 2\nframes\n`)).toEqual(parseCheckpointText(good));
  expect(parseCheckpointText(`${empty}later\n`)).toEqual(parseCheckpointText(empty));
  for (const bad of [
    `o\n05\n${hash}\nframe 3 ${hash}\n`,
    `o\n5\n${hash}\n`,
    `o\n5\n${hash}\nframe 03 ${hash}\n`,
    `o\n5\n${hash}\nframe 3 ${hash} \n`,
    `o\n5\n${hash}\nother 3 ${hash}\n`,
    `o\n5\n${hash}\nlater\nframe 3 ${hash}\n`,
    `${good}frame 4 ${hash}\n`,
    `${good}frame\n`,
    `${good}\nlater\n`,
    `${good}\n`,
    good.trimEnd(),
    `\n5\n${hash}\nframe 3 ${hash}\n`,
    `o\n5\n${hash.replace("2I=", "2J=")}\nframe 3 ${hash}\n`,
    `o\n0\n${hash}\n`,
    `${empty}frame 0 ${hash}\n`,
  ]) {
    expect(parseCheckpointText(bad), bad).toEqual({ ok: false, error: "checkpoint_malformed" });
  }
  expect(parseCheckpointText(`o\n9007199254740991\n${hash}\nframe 3 ${hash}\n`).ok).toBe(true);
  for (const large of [
    `o\n9007199254740992\n${hash}\nframe 3 ${hash}\n`,
    `o\n${2n ** 64n}\n${hash}\nframe 3 ${hash}\n`,
    `o\n5\n${hash}\nframe 9007199254740992 ${hash}\n`,
  ]) {
    expect(parseCheckpointText(large), large).toEqual({ ok: false, error: "number_too_large" });
  }
  expect(
    openCheckpoint(utf8(peterNote), known(peterKey)[0] ?? { name: "", id: 0, publicKey: new Uint8Array() }),
  ).toEqual({
    ok: false,
    error: "checkpoint_malformed",
  });
});
