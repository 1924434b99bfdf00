import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
} from "node:crypto";
import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { cosignatureLine, cosignedAt, cosignedText, parseWitnessKey } from "#ledger/tlog/cosignature";
import { keyId, parseVerifierKey, readNote, signatureTypes, verifierKey } from "#ledger/tlog/signed-note";

// The specification's example of a cosigned checkpoint (C2SP tlog-cosignature).
const example =
  "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n" +
  "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n" +
  "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
const [text = ""] = example.split("\n\n");

const name = "witness.test/w1";
const { privateKey } = generateKeyPairSync("ed25519");
const publicKey = new Uint8Array(
  createPublicKey(privateKey).export({ format: "der", type: "spki" }).subarray(-32),
);
const witness = { name, id: keyId(name, publicKey, signatureTypes.cosignature), publicKey };
const cosigned = (seconds: number, of = `${text}\n`) =>
  new Uint8Array(sign(null, utf8(cosignedText(of, seconds)), privateKey));
const note = (...lines: readonly string[]) => utf8(example + lines.join(""));

test("the specification's example is read: a timestamp of eight bytes and a signature of sixty-four behind the key id", ({
  expect,
}) => {
  const read = readNote(utf8(example));
  const [, line] = read.ok ? read.value.signatures : [];
  expect(line).toMatchObject({ name: "witness.example.com/w1", id: 0x8d66cf3f });
  expect(line?.bytes.length).toBe(72);
  // the time in the specification's example of the signed message
  expect(Buffer.from(line?.bytes ?? []).readBigUInt64BE()).toBe(1679315147n);
  expect(cosignedText(`${text}\n`, 1679315147)).toBe(
    "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
  );
});

test("key id, verifier key and cosignature equal a second computation from the specification's text", ({
  expect,
}) => {
  const seconds = 1790000000;
  const id = createHash("sha256")
    .update(`${name}\n`)
    .update(Buffer.of(4))
    .update(publicKey)
    .digest()
    .subarray(0, 4);
  expect(verifierKey(name, publicKey, signatureTypes.cosignature)).toBe(
    `${name}+${id.toString("hex")}+${Buffer.concat([Buffer.of(4), publicKey]).toString("base64")}`,
  );
  const message = Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}\n`);
  const raw = sign(null, message, createPrivateKey(privateKey.export({ format: "pem", type: "pkcs8" })));
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(seconds));
  expect(cosignatureLine(witness, seconds, cosigned(seconds))).toBe(
    `— ${name} ${Buffer.concat([id, time, raw]).toString("base64")}\n`,
  );
  expect(verify(null, message, createPublicKey(privateKey), cosigned(seconds))).toBe(true);
});

test("a note shows when its witness cosigned it; further lines are ignored, and a wrong cosignature refuses it even next to a right cosignature", ({
  expect,
}) => {
  const line = (seconds: number, of?: string) => cosignatureLine(witness, seconds, cosigned(seconds, of));
  expect(cosignedAt(note(line(5)), witness)).toEqual({ ok: true, value: 5 });
  expect(cosignedAt(note(line(5), line(9), line(7)), witness)).toEqual({ ok: true, value: 9 });
  expect(cosignedAt(note(), witness)).toEqual({ ok: false, error: "not_cosigned" });
  expect(cosignedAt(note(line(5, `${text}\nframe 1 x\n`)), witness), "of a different text").toEqual({
    ok: false,
    error: "cosignature_wrong",
  });
  expect(
    cosignedAt(note(line(5), cosignatureLine(witness, 6, cosigned(5))), witness),
    "another time",
  ).toMatchObject({ ok: false });
  expect(
    cosignedAt(note(cosignatureLine({ ...witness, id: keyId(name, publicKey) }, 5, cosigned(5))), witness),
    "as a log's key",
  ).toEqual({
    ok: false,
    error: "not_cosigned",
  });
  expect(cosignedAt(utf8("no note"), witness)).toEqual({ ok: false, error: "note_malformed" });
  const bytes = note(line(5));
  for (let i = 0; i < text.length; i++) {
    const flipped = Uint8Array.from(bytes, (byte, j) => (i === j ? byte ^ 1 : byte));
    expect(cosignedAt(flipped, witness).ok, `byte ${i} of the text`).toBe(false);
  }
});

test("a witness's key is no log's key, and a log's none of a witness", ({ expect }) => {
  const asWitness = verifierKey(name, publicKey, signatureTypes.cosignature);
  expect(parseWitnessKey(asWitness)).toEqual({ ok: true, value: witness });
  expect(parseVerifierKey(asWitness).ok).toBe(false);
  expect(parseWitnessKey(verifierKey(name, publicKey)).ok).toBe(false);
});
