import { createHash } from "node:crypto";
import { exportJWK } from "jose";
import { test } from "vitest";
import { answerBase, type AnsweredRequest } from "#identity/answer-signature";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { answerSigner } from "#platform/keys/answer-signer";
import { signedBytes } from "#platform/keys/signed-bytes";
import { newKey } from "../../support/credentials.ts";
import { wrongWithSignature } from "../../support/verify-answer.ts";

const clock = () => instant(Date.now());
const url = "https://gateway.example.org/v1/fhir/main/Patient/someone";
const text = "one and two";
const body = ["one ", "and two"].map((part) => new TextEncoder().encode(part));
const request = { method: "GET", url, headers: new Headers(), signatureRead: true };
const keys = { ES256: await newKey("ES256", "es"), EdDSA: await newKey("EdDSA", "ed") };
const secretOf = async (name: keyof typeof keys, more: object = {}) =>
  new Secret(
    JSON.stringify({ ...(await exportJWK(keys[name].privateKey)), kid: keys[name].jwk.kid, ...more }),
  );
const signer = answerSigner({ key: await secretOf("ES256"), others: [], clock });

/** The signed answer for a client that sent these fields. */
async function answered(
  fields: Readonly<Record<string, string>>,
  more: Partial<AnsweredRequest> = {},
  by = signer,
) {
  const headers = new Headers({ "content-type": "application/fhir+json" });
  const signed = await by.sign(
    { status: 200, headers, body },
    { ...request, headers: new Headers(fields), ...more },
  );
  const answer = { status: 200, headers: { ...Object.fromEntries(headers), ...signed }, text };
  return {
    answer,
    signed,
    wrong: (sent = fields) => wrongWithSignature(answer, { method: "GET", url, headers: sent }, publicKeys),
  };
}
const publicKeys = Object.values(keys).map(({ jwk }) => jwk);

test("T38: the published signature of RFC 9421 §2.4 is over exactly the base that is built here", async ({
  expect,
}) => {
  const digest =
    "sha-512=:0Y6iCBzGg5rZtoXS95Ijz03mslf6KAMCloESHObfwnHJDbkkWWQz6PhhU9kxsTbARtY2PTBOzq24uJFpHsMuAg==:";
  const bodyDigest =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
  const parts = [
    { name: "@status", req: false, value: "503" },
    { name: "content-digest", req: false, value: digest },
    { name: "content-type", req: false, value: "application/json" },
    { name: "@authority", req: true, value: "example.com" },
    { name: "@method", req: true, value: "POST" },
    { name: "@path", req: true, value: "/foo" },
    { name: "content-digest", req: true, value: bodyDigest },
  ];
  const names = parts.map(({ name, req }) => `"${name}"${req ? ";req" : ""}`).join(" ");
  const base = answerBase(parts, `(${names});created=1618884479;keyid="test-key-ecc-p256"`);
  const published =
    "dMT/A/76ehrdBTD/2Xx8QuKV6FoyzEP/I9hdzKN8LQJLNgzU4W767HK05rx1i8meNQQgQPgQp8wq2ive3tV5Ag==";
  const key = {
    kty: "EC",
    crv: "P-256",
    x: "qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA",
    y: "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0",
  } as const;
  const signed = (text: string) =>
    signedBytes(
      new Uint8Array(Buffer.from(text)),
      new Uint8Array(Buffer.from(published, "base64")),
      key,
      "ES256",
    );
  expect(await signed(base)).toBe(true);
  expect(await signed(base.replace("503", "200"))).toBe(false);
  expect(await signed(base.replace('"@path";req', '"@path"'))).toBe(false);
});

test.for(["ES256", "EdDSA"] as const)(
  "T38: %s signs over the parts of a body as over the whole of it",
  async (name, { expect }) => {
    const { answer, signed, wrong } = await answered(
      {},
      {},
      answerSigner({ key: await secretOf(name), others: [], clock }),
    );
    expect(wrong()).toBeUndefined();
    expect(signed["content-digest"]).toBe(`sha-256=:${createHash("sha256").update(text).digest("base64")}:`);
    expect(answer.headers["signature-input"]).toMatch(
      new RegExp(
        `^sig=\\("@status" "content-digest" "content-type" "@method";req "@target-uri";req\\);created=\\d+;keyid="${keys[name].jwk.kid}";tag="fapi-2-response"$`,
        "u",
      ),
    );
  },
);

test("T38: if a request has several signatures, its own is covered, with all components that this signature covers", async ({
  expect,
}) => {
  const own =
    'sig=("@method" "@target-uri" "authorization" "x-note");created=1;keyid="k";tag="fapi-2-request"';
  const ofAnother = 'proxy=("@path");created=1;keyid="p"';
  const fields = { authorization: "Bearer token", "x-note": "n" };
  const { answer, wrong } = await answered({
    ...fields,
    "signature-input": `${ofAnother}, ${own}`,
    signature: "proxy=:AAAA:, sig=:BBBB:;by=1",
  });
  expect(answer.headers["signature-input"]).toContain(
    '"@method";req "@target-uri";req "authorization";req "x-note";req "signature";req;key="sig" "signature-input";req;key="sig")',
  );
  const intact = { ...fields, "signature-input": own, signature: "sig=:BBBB:;by=1" };
  expect(wrong(intact)).toBeUndefined();
  expect(wrong({ ...intact, "x-note": "m" })).toBe("another signature");
  expect(wrong({ ...intact, signature: "sig=:BBBB:" })).toBe("another signature");
});

test.for([
  ["that nobody looked at", 'sig=("@method");tag="fapi-2-request"', { signatureRead: false }],
  ["over a part that nobody can read", 'sig=("@query-param";name="x");tag="fapi-2-request"', {}],
  ["over a field that is not there", 'sig=("x-note");tag="fapi-2-request"', {}],
  ["for something else", 'sig=("@method");tag="other"', {}],
  ["that is none", "sig=(", {}],
] as const)("T38: a signature of the request %s is not answered for", async ([, input, more], { expect }) => {
  const { answer, wrong } = await answered({ "signature-input": input, signature: "sig=:AAAA:" }, more);
  expect(answer.headers["signature-input"]).not.toContain('"signature"');
  expect(wrong({})).toBeUndefined();
});

test("keys that signed until lately are published with the signing key; a second key under its name is not", async ({
  expect,
}) => {
  const impostor = { ...keys.EdDSA.jwk, kid: "es" };
  const rotating = answerSigner({ key: await secretOf("ES256"), others: [keys.EdDSA.jwk, impostor], clock });
  expect(await rotating.publicKeys()).toEqual([
    { ...keys.ES256.jwk, alg: "ES256", use: "sig" },
    keys.EdDSA.jwk,
  ]);
});

test.for([["canary"], ['{"kty":"oct","k":"canary"}'], ['{"kid":"é"}']])(
  "%s is no key to sign with, and is not shown",
  async ([text = ""], { expect }) => {
    const spoiled = text.startsWith('{"kid"') ? await secretOf("ES256", JSON.parse(text)) : new Secret(text);
    expect(() => answerSigner({ key: spoiled, others: [], clock })).toThrow(
      /^a signing key is not a private JWK[^{]*$/u,
    );
  },
);
