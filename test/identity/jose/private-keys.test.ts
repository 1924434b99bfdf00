import { createPrivateKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { hasPrivateKey, withoutPrivateKeys } from "#identity/jose/private-keys";
import { cpuMillisecondsOf } from "../../support/cpu-milliseconds.ts";

const root = join(import.meta.dirname, "../../..");
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ed = generateKeyPairSync("ed25519");
const der = (key: KeyObject, type: "pkcs8" | "sec1" | "pkcs1", cipher?: string): Buffer =>
  // The options of Node's types differ for each kind of key.
  Reflect.apply(Reflect.get(key, "export"), key, [
    { format: "der", type, ...(cipher !== undefined && { cipher, passphrase: "a test" }) },
  ]);
const pairs = [
  ec,
  generateKeyPairSync("ec", { namedCurve: "P-384" }),
  generateKeyPairSync("ec", { namedCurve: "P-521" }),
  ed,
  generateKeyPairSync("x25519"),
  rsa,
];
const privateDer: readonly (readonly [string, Buffer])[] = [
  ...pairs.map(({ privateKey }, i) => [`PKCS#8 ${i}`, der(privateKey, "pkcs8")] as const),
  ...pairs.slice(0, 3).map(({ privateKey }, i) => [`SEC1 ${i}`, der(privateKey, "sec1")] as const),
  ["PKCS#1", der(rsa.privateKey, "pkcs1")],
  ["an encrypted PKCS#8", der(ec.privateKey, "pkcs8", "aes-256-cbc")],
  // RFC 7292 §4: a SEQUENCE of 304 octets with the version 3 and a ContentInfo of data; the rest is sealed
  [
    "a PKCS#12",
    Buffer.concat([Buffer.from(`308201300201033082012906092a864886f70d010701`, "hex"), randomBytes(286)]),
  ],
];
const removed = "removed: a private key";
const lines = (text: string, end: string) => (text.match(/.{1,64}/gu) ?? []).join(end);

test.for(privateDer)("%s in base64 has a text in its place, however it is written", ([, bytes]) => {
  const [plain, url] = [bytes.toString("base64"), bytes.toString("base64url")];
  for (const text of [plain, url]) {
    expect(withoutPrivateKeys({ key: text })).toBe(`{"key":"${removed}"}`);
    expect(withoutPrivateKeys(`the key is ${text}, keep it`)).toBe(`"the key is ${removed}, keep it"`);
    expect(withoutPrivateKeys(`key=${text} and more words`)).toBe(`"key=${removed} and more words"`);
    expect(withoutPrivateKeys({ [text]: 1 })).not.toContain(text);
  }
  for (const end of ["\n", "\r\n", "\n    ", " "])
    expect(withoutPrivateKeys([`a: ${lines(plain, end)}${end}after it`]), JSON.stringify(end)).toBe(
      JSON.stringify([`a: ${removed}${end}after it`]),
    );
  const apart = lines(plain, "\n").split("\n");
  expect(withoutPrivateKeys({ apart })).toBe(
    apart.length === 1 ? `{"apart":["${removed}"]}` : `{"apart":"${removed}"}`,
  );
  const nested = JSON.stringify({ note: `before\n${lines(plain, "\n")}\nafter` });
  for (const text of [nested, JSON.stringify(nested)]) {
    expect(hasPrivateKey({ text })).toBe(true);
    for (const line of apart) expect(withoutPrivateKeys({ text })).not.toContain(line);
  }
  const cutOff = plain.slice(0, 40);
  expect(withoutPrivateKeys([cutOff])).toBe(`["${removed}"]`);
});

test("a JWK without kty has a text in place of its private members, and a digest of such a name has none", () => {
  for (const { privateKey } of pairs) {
    const { kty: _, ...key } = privateKey.export({ format: "jwk" });
    const written = withoutPrivateKeys({ keys: [key] });
    for (const name of ["d", "p", "q", "dp", "dq", "qi"])
      if (key[name] !== undefined) expect(written).not.toContain(key[name]);
    if (typeof key.x === "string") expect(written).toContain(key.x);
    expect(withoutPrivateKeys({ text: JSON.stringify(key) })).toBe(`{"text":"${removed}"}`);
    expect(withoutPrivateKeys({ text: JSON.stringify(JSON.stringify(key)) })).toBe(`{"text":"${removed}"}`);
    expect(hasPrivateKey({ d: key.d })).toBe(true);
  }
  const harmless = [
    {
      d: "2026-11-28",
      k: "code",
      p: "a path/of/a file",
      q: "Patient?name=Okafor&birthdate=ge1970-01-01&_count=50",
    },
    { d: "0123456789abcdef".repeat(4), k: 43, p: ["x".repeat(50)], q: { d: "short" } },
    '{"d":"a member of no key","k":"0123456789abcdef0123456789abcdef0123456789abcdef"}',
  ];
  expect(withoutPrivateKeys(harmless)).toBe(JSON.stringify(harmless));
});

test("public keys, certificates, signatures, digests, FHIR ids and base64 of other things pass", () => {
  const spki = pairs.map(({ publicKey }) => publicKey.export({ format: "der", type: "spki" }));
  const content = Buffer.from("%PDF-1.7 a document\n".repeat(500));
  const harmless = [
    ...spki,
    rsa.publicKey.export({ format: "der", type: "pkcs1" }),
    sign("sha256", content, ec.privateKey),
    sign("sha256", content, rsa.privateKey),
    content,
    ...[16, 32, 48, 64, 256].map((size) => randomBytes(size)),
  ].flatMap((bytes) => [
    bytes.toString("base64"),
    bytes.toString("base64url"),
    lines(bytes.toString("base64"), "\n"),
  ]);
  const pem = pairs.map(({ publicKey }) => publicKey.export({ format: "pem", type: "spki" }));
  const words = [
    "MA",
    "MI",
    "MIND",
    "MICHAEL",
    "MI-2026-0001",
    "MEDICATION",
    "urn:oid:1.2.840.113549.1.5.13",
    "MIIB",
  ];
  for (const text of [...harmless, ...pem, ...words, ...certificates])
    expect(withoutPrivateKeys({ text, list: [text, text] })).toBe(
      JSON.stringify({ text, list: [text, text] }),
    );
});

/** Root certificates of Node, as PEM and as base64 alone. */
const certificates = (await import("node:tls")).rootCertificates.flatMap((pem) => [
  pem,
  pem.replaceAll(/-----.*-----|\n/gu, ""),
]);

test("each policy and each example of this repository passes", () => {
  for (const folder of ["policies", "examples", "deploy", "test/fixtures"])
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      if (!name.endsWith(".json")) continue;
      const document: unknown = JSON.parse(readFileSync(join(root, folder, name), "utf8"));
      expect(hasPrivateKey(document), `${folder}/${name}`).toBe(false);
    }
});

/** The independent twin: Node reads the bytes as a private key. */
function isKeyForNode(bytes: Buffer): boolean {
  return (["pkcs8", "sec1", "pkcs1"] as const).some((type) => {
    try {
      return createPrivateKey({ key: bytes, format: "der", type }) !== undefined;
    } catch {
      return false;
    }
  });
}

test("a text that Node reads as a private key is found, and random bytes behind the head of a SEQUENCE pass", () => {
  const keys = privateDer.slice(0, -2).map(([, bytes]) => bytes);
  const spoilt = fc
    .tuple(fc.constantFrom(...keys), fc.nat(), fc.nat({ max: 255 }))
    .map(([bytes, at, octet]) => {
      const copy = Buffer.from(bytes);
      copy[at % copy.length] = octet;
      return copy;
    });
  fc.assert(
    fc.property(spoilt, (bytes) => {
      if (isKeyForNode(bytes)) expect(hasPrivateKey({ text: bytes.toString("base64") })).toBe(true);
    }),
    { numRuns: 1_000 },
  );
  const other = fc
    .tuple(
      fc.constantFrom([0x30, 0x20], [0x30, 0x81, 0x90], [0x30, 0x82, 0x02]),
      fc.uint8Array({ minLength: 24, maxLength: 200 }),
    )
    .filter(([, rest]) => rest[0] !== 0x02 && rest[0] !== 0x30)
    .map(([head, rest]) => Buffer.from([...head, ...rest]).toString("base64"));
  fc.assert(
    fc.property(other, fc.string(), (text, around) => {
      const value = { text: `${around} ${text}`, around };
      expect(withoutPrivateKeys(value)).toBe(JSON.stringify(value));
    }),
  );
});

test("the search takes time in proportion to a text of beginnings, blanks and backslashes", () => {
  for (const part of [
    "MI ",
    "MIIEvgIBADAN",
    "MC4CAQAwBQYD\n",
    `MI${" ".repeat(1_000)}`,
    `MIIE${"\\n".repeat(70)}`,
    '"d":"',
  ]) {
    const text = part.repeat(Math.ceil(1_048_576 / part.length));
    const spent = cpuMillisecondsOf(() => void hasPrivateKey({ text }));
    expect(spent, JSON.stringify(part.slice(0, 20))).toBeLessThan(2_000);
  }
});
