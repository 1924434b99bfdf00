import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasPrivateKey, withoutPrivateKeys } from "#identity/jose/private-keys";
import { send } from "../../cli/connection/mutual-tls.ts";
import { cpuMillisecondsOf } from "../support/cpu-milliseconds.ts";
import { commandIn } from "../support/in-process/command.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { onExchange } from "../support/in-process/mutual-tls.ts";

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 60_000);
afterAll(() => phylax.close());

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const jwk = { ...privateKey.export({ format: "jwk" }), kid: "by-mistake" };
const secret = String(jwk.d);
const pem = String(privateKey.export({ format: "pem", type: "pkcs8" }));
const der = pem.replaceAll(/-----.*-----|\n/gu, "");
const { kty: _kty, ...withoutType } = jwk;
const encrypted = String(
  generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
    format: "pem",
    type: "pkcs1",
    cipher: "des-ede3-cbc",
    passphrase: "a test",
  }),
);
const registry = {
  clients: [
    {
      id: "mistaken",
      name: JSON.stringify(jwk),
      kind: "provider",
      auth: "private_key_jwt",
      jwks: { keys: [jwk] },
      certificates: [pem, encrypted, der],
    },
  ],
};

test("a private key in a submitted document is refused, and the ledger gets the document without it", async () => {
  const { dev } = phylax;
  for (const [path, document] of [
    ["api/registry", registry],
    ["api/registry/changes", { set: registry }],
  ] as const) {
    const { status, text } = await phylax.within(() =>
      send(dev, dev.operators[0], `${dev.ops}/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(document),
      }),
    );
    expect(status, text).toBe(422);
    expect(text).not.toContain(secret);
  }
  const submitted = (await phylax.records()).flatMap(({ event }) =>
    event.document?.role === "submitted" && event.document.text?.includes("mistaken") === true
      ? [event.document.text]
      : [],
  );
  expect(submitted).toHaveLength(2);
  for (const text of submitted) {
    expect(text).not.toContain(secret);
    expect(text).not.toContain(pem.split("\n")[1]);
    for (const line of encrypted.split("\n").slice(4, -2)) expect(text).not.toContain(line);
    expect(text, "the rest of the document is on record").toContain('"kid":"by-mistake"');
    expect(text).toContain('"d":"removed: a private key"');
    expect(text).toContain('"name":"removed: a private key"');
    const gone = "removed: a private key";
    expect(text).not.toContain(der);
    expect(text).toContain(`"certificates":["${gone}\\n","${gone}\\n","${gone}"]`);
  }
});

test("the command does not send a file with a private key, and says which file the registry takes", async () => {
  const file = (name: string, content: unknown, write: (content: unknown) => string = JSON.stringify) => {
    const path = join(phylax.home, name);
    writeFileSync(path, write(content));
    return path;
  };
  const calls = [
    ["registry", "apply", file("mistaken.json", registry)],
    ["registry", "apply", file("mistaken-text.json", { name: JSON.stringify(jwk) })],
    ["registry", "apply", file("mistaken-encrypted.json", { certificates: [encrypted] })],
    ["registry", "apply", file("mistaken.pem", encrypted, String)],
    ["registry", "apply", file("mistaken-der.json", { certificates: [der] })],
    ["client", "add", "mistaken", "--jwks", file("mistaken-type.jwk.json", withoutType)],
    ["registry", "plan", file("mistaken-plan.json", registry)],
    ["propose", file("mistaken-change.json", { set: registry }), "--why", "a test"],
    ["client", "add", "mistaken", "--jwks", file("mistaken.jwk.json", jwk)],
    ["client", "rotate", "payer", "--jwks", file("mistaken.jwks.json", { keys: [jwk] })],
  ] as const;
  const posts: string[] = [];
  const end = onExchange(({ method }, sent) => void (method === "POST" && posts.push(sent)));
  try {
    for (const call of calls) {
      const { code, error } = await phylax.within(() =>
        commandIn(phylax.home, ...call, "--state", join(phylax.home, ".phylax")),
      );
      expect([code, error], call.join(" ")).toEqual([2, expect.stringContaining("has a private key")]);
      expect(error).not.toContain(secret);
    }
  } finally {
    end();
  }
  expect(posts).toEqual([]);
});

test("a document without a private key is recorded as it is", () => {
  const { d: _, ...half } = jwk;
  const document = {
    clients: [{ jwks: { keys: [half] }, d: "a member d of no key", k: 1 }],
    text: "-----BEGIN CERTIFICATE-----",
  };
  expect(withoutPrivateKeys(document)).toBe(JSON.stringify(document));
  expect([hasPrivateKey(document), hasPrivateKey({ a: [{ jwk }] }), hasPrivateKey(pem)]).toEqual([
    false,
    true,
    true,
  ]);
});

test("a private key as JSON in a text, as PEM with headers, cut off, or line by line has a text in its place", () => {
  expect(encrypted).toMatch(
    /^-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,/u,
  );
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
  const { d: _d, ...withPrimes } = rsa;
  const shared = { kty: "oct", k: secret };
  const text = JSON.stringify(jwk);
  const texts = [
    text,
    JSON.stringify({ keys: [jwk] }, undefined, 2),
    JSON.stringify(text),
    JSON.stringify(JSON.stringify({ text })),
    `the key is ${text}, keep it`,
    text.slice(0, -1),
    JSON.stringify(withPrimes),
    JSON.stringify(shared),
  ];
  for (const each of texts) expect(withoutPrivateKeys([each])).toBe('["removed: a private key"]');
  const { d: _, ...half } = jwk;
  const harmless = [JSON.stringify(half), '{"d":"a member of no key"}', "kty and d"];
  expect(withoutPrivateKeys(harmless)).toBe(JSON.stringify(harmless));

  expect(withoutPrivateKeys(`a ${encrypted}b ${pem}c`)).toBe(
    '"a removed: a private key\\nb removed: a private key\\nc"',
  );
  const cutOff = encrypted.slice(0, -40);
  expect(withoutPrivateKeys({ before: "kept", cutOff })).toBe(
    '{"before":"kept","cutOff":"removed: a private key"}',
  );
  const pgp =
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: A-1\n\nabcd\n-----END PGP PRIVATE KEY BLOCK-----";
  expect(withoutPrivateKeys(pgp)).toBe('"removed: a private key"');
  expect(withoutPrivateKeys({ lines: encrypted.split("\n") })).toBe('{"lines":"removed: a private key"}');
  expect(withoutPrivateKeys({ named: { [text]: true } })).toBe('{"named":"removed: a private key"}');
});

test("the search for private keys takes time in proportion to the document", () => {
  const long = (part: string) => part.repeat(Math.ceil(1_048_576 / part.length));
  const begin = "-----BEGIN RSA PRIVATE KEY-----";
  const texts = [
    "-----BEGIN ",
    "-----BEGIN A PRIVATE KEY",
    "-",
    "PRIVATE KEY",
    '"kty',
    '"kty\\',
    '"d" ',
    "\\",
    " ",
  ].map(long);
  const inKeys = ["-----END ", "-----END PRIVATE KEY", "-", "PRIVATE KEY"].map((part) => begin + long(part));
  const heads = ["-----BEGIN PRIVATE KEY", `${begin}-----END PRIVATE KEY`, '"kty\\', '"kty" '].map(
    (head, at) => head + long(["PRIVATE KEY", "PRIVATE KEY", "\\", " "][at] ?? ""),
  );
  for (const text of [...texts, ...inKeys, ...heads, long(begin), long(pem)]) {
    const spent = cpuMillisecondsOf(() => void hasPrivateKey({ text }));
    expect(spent, text.slice(0, 60)).toBeLessThan(2_000);
  }
});
