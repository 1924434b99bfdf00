import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { concat } from "#ledger/bytes/bytes";
import { isSignature } from "#ledger/tlog/signed-note";
import { askAll, pythonIsMissing } from "./second-verifier.ts";

// RFC 8032 §7.1, tests 1 to 3: public key, message, signature.
const rfc8032 = [
  [
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  ],
  [
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  ],
  [
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  ],
] as const;

interface Signed {
  readonly key: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));
const right: readonly Signed[] = rfc8032.map(([key, message, signature]) => ({
  key: fromHex(key),
  message: fromHex(message),
  signature: fromHex(signature),
}));

const flipped = (bytes: Uint8Array, bit: number): Uint8Array =>
  Uint8Array.from(bytes, (byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));

/** A signature with S + L in place of S: it satisfies the equation, but RFC 8032 §5.1.7 refuses it. */
function plusOrder(signature: Uint8Array): Uint8Array {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const number = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + order;
  return concat([signature.subarray(0, 32), fromHex(number.toString(16).padStart(64, "0")).reverse()]);
}

const near: readonly Signed[] = right.flatMap(({ key, message, signature }) => [
  ...[0, 100, 255, 256, 400, 507, 511].map((bit) => ({ key, message, signature: flipped(signature, bit) })),
  ...[0, 100, 255].map((bit) => ({ key: flipped(key, bit), message, signature })),
  { key, message: concat([message, utf8("x")]), signature },
  { key, message, signature: signature.subarray(1) },
  { key, message, signature: plusOrder(signature) },
]);

test("our Ed25519 accepts the signatures of RFC 8032, and no altered signature", ({ expect }) => {
  const holds = [...right, ...near].map(({ key, message, signature }) =>
    isSignature(key, message, signature),
  );
  expect(holds).toEqual([...right.map(() => true), ...near.map(() => false)]);
});

test.skipIf(pythonIsMissing)(
  "the second verifier's Ed25519 accepts the signatures of RFC 8032, and no altered signature (skipped without python3)",
  async ({ expect }) => {
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
    const asked = [...right, ...near].map(({ key, message, signature }) => ({
      ask: "signature",
      public: base64(key),
      message: base64(message),
      signature: base64(signature),
    }));
    expect(await askAll(asked)).toEqual([...right.map(() => true), ...near.map(() => false)]);
  },
);
