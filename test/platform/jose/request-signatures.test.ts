import { createHash, randomUUID } from "node:crypto";
import { serializeInnerList, type BareItem, type Item } from "structured-headers";
import { describe, test } from "vitest";
import type { PublicJwk } from "#identity/jose/jwk";
import { signatureBase, type SignableRequest } from "#identity/request-signature";
import { instant } from "#kernel/clock";
import { requestSignatures } from "#platform/keys/request-signatures";
import { signedBytes } from "#platform/keys/signed-bytes";
import { at, newKey, now, type Key } from "../../support/credentials.ts";
import { signedFields, type Signing } from "../../support/sign-request.ts";

const url = "https://gateway.example.org/v1/fhir/main/Patient?name=x";
const keys = {
  ES256: await newKey("ES256", "es"),
  PS256: await newKey("PS256", "ps"),
  EdDSA: await newKey("EdDSA", "ed"),
} as const;
const other = await newKey("ES256", "es");
const signer = { keys: Object.values(keys).map(({ jwk }) => jwk) };
const none = new Uint8Array();
const form = new TextEncoder().encode("name=x");
const digestOf = (body: Uint8Array, hash = "sha256") =>
  `${hash === "sha256" ? "sha-256" : "sha-512"}=:${createHash(hash).update(body).digest("base64")}:`;
const nowhere = {
  at: () => Promise.reject(new Error("asked")),
  anew: () => Promise.reject(new Error("asked")),
};
const signatures = requestSignatures(nowhere);

/** A signed request; `more` spoils it after signing. */
async function verdict(
  key: Key,
  signing: Partial<Signing> = {},
  {
    body = none,
    headers = {},
    ...more
  }: Partial<Omit<SignableRequest, "headers">> & { headers?: Record<string, string | undefined> } = {},
  when = at,
  holder: Parameters<typeof signatures.verify>[1] = signer,
) {
  const request = { method: "GET", url, headers: new Headers({ authorization: "Bearer token" }) };
  const sent = {
    ...request,
    method: body.length > 0 ? "POST" : "GET",
    headers: new Headers({
      authorization: "Bearer token",
      ...(body.length > 0 && { "content-digest": digestOf(body) }),
    }),
  };
  const covered = ["@method", "@target-uri", "authorization", ...(body.length > 0 ? ["content-digest"] : [])];
  const fields = await signedFields(key, sent, { parts: covered, created: now, ...signing });
  for (const [name, value] of Object.entries({ ...fields, ...headers })) {
    if (value === undefined) sent.headers.delete(name);
    else sent.headers.set(name, value);
  }
  const result = await signatures.verify({ ...sent, body, ...more }, holder, when);
  return result.ok ? result.value : result.error;
}

test("T35, T37: a signature by each kind of registered key is taken, with a body and without", async ({
  expect,
}) => {
  for (const key of Object.values(keys)) {
    expect(await verdict(key)).toBe(key.jwk.kid);
    expect(await verdict(key, {}, { body: form })).toBe(key.jwk.kid);
  }
});

describe("T35: the components and parameters that a signature must have", () => {
  const all = ["@method", "@target-uri", "authorization", "content-digest"];
  test.for(all)("without %s it is not enough", async (part, { expect }) => {
    const parts = all.filter((each) => each !== part);
    expect(await verdict(keys.ES256, { parts }, { body: form })).toEqual({
      reason: "request_signature_incomplete",
      part,
    });
  });

  test("a proof that comes with the request is covered too", async ({ expect }) => {
    const headers = { dpop: "proof" };
    expect(await verdict(keys.ES256, {}, { headers })).toEqual({
      reason: "request_signature_incomplete",
      part: "dpop",
    });
  });

  test.for([
    ["content-type", "application/fhir+json"],
    ["phylax-purpose", "ETREAT"],
    ["phylax-justification", "chest pain"],
    ["if-match", 'W/"7"'],
    ["if-none-exist", "identifier=urn:x|1"],
    ["prefer", "return=minimal"],
  ] as const)(
    "%s, which decides what is done, is covered when it is sent: neither added nor changed nor left out",
    async ([part, value], { expect }) => {
      const incomplete = { reason: "request_signature_incomplete", part };
      expect(await verdict(keys.ES256, {}, { headers: { [part]: value } }), "added on the way").toEqual(
        incomplete,
      );
      expect(
        await verdict(keys.ES256, {}, { body: form, headers: { [part]: value } }),
        "added on the way",
      ).toEqual(incomplete);
      const parts = ["@method", "@target-uri", "authorization", part];
      const headers = new Headers({ authorization: "Bearer token", [part]: value });
      const request = { method: "GET", url, headers, body: none };
      for (const [name, field] of Object.entries(
        await signedFields(keys.ES256, request, { parts, created: now }),
      ))
        headers.set(name, field);
      expect(await signatures.verify(request, signer, at)).toEqual({ ok: true, value: "es" });
      headers.set(part, `${value}1`);
      expect(await signatures.verify(request, signer, at)).toEqual({
        ok: false,
        error: { reason: "request_signature_invalid" },
      });
      headers.delete(part);
      expect(await signatures.verify(request, signer, at)).toEqual({
        ok: false,
        error: { reason: "request_signature_component_unknown", part },
      });
    },
  );

  test.for([
    ["another tag", { tag: "other" }, "request_signature_missing"],
    ["no tag", { tag: undefined }, "request_signature_missing"],
    ["no created", { created: undefined }, "request_signature_malformed"],
    ["created as a text", { created: String(now) }, "request_signature_malformed"],
    ["created with a fraction", { created: now + 0.5 }, "request_signature_malformed"],
    ["no keyid", { keyid: undefined }, "request_signature_malformed"],
    ["created 61 seconds ago", { created: now - 61 }, "request_signature_expired"],
    ["created in 11 seconds", { created: now + 11 }, "request_signature_not_yet_valid"],
    ["expired", { expires: now }, "request_signature_expired"],
    [
      "a component twice",
      { parts: ["@method", "@target-uri", "authorization", "@method"] },
      "request_signature_malformed",
    ],
    [
      "33 components",
      { parts: Array.from({ length: 33 }, (_, i) => `x-${i}`) },
      "request_signature_malformed",
    ],
    ["an unknown key", { keyid: "stranger" }, "request_signature_key_unknown"],
  ] as const)("%s", async ([, signing, reason], { expect }) => {
    expect(await verdict(keys.ES256, signing)).toMatchObject({ reason });
  });

  test("60 seconds, 10 seconds ahead, and an end to come are taken", async ({ expect }) => {
    for (const signing of [
      { created: now - 60 },
      { created: now + 10 },
      { expires: now + 1 },
      { nonce: randomUUID() },
    ]) {
      expect(await verdict(keys.ES256, signing)).toBe("es");
    }
  });

  test.for([
    ["a parameter", '"@method";req'],
    ["a part of an answer", '"@status"'],
    ["a header that is not there", '"x-absent"'],
    ["a name in capitals", '"Authorization"'],
  ])("nobody can read %s", async ([, part], { expect }) => {
    const field = `sig=("@method" "@target-uri" "authorization" ${part});created=${now};keyid="es";tag="fapi-2-request"`;
    const outcome = await verdict(keys.ES256, {}, { headers: { "signature-input": field } });
    expect(outcome).toMatchObject({ reason: "request_signature_component_unknown" });
  });

  test.for([
    ["no fields", { "signature-input": undefined, signature: undefined }, "request_signature_missing"],
    ["no signature", { signature: undefined }, "request_signature_malformed"],
    ["a signature of another label", { signature: "other=:AAAA:" }, "request_signature_malformed"],
    ["a signature that is a text", { signature: 'sig="AAAA"' }, "request_signature_malformed"],
    ["no dictionary", { "signature-input": "sig=(" }, "request_signature_malformed"],
    [
      "an item for a list",
      { "signature-input": `sig="@method";created=${now};keyid="es";tag="fapi-2-request"` },
      "request_signature_malformed",
    ],
    ["nothing signed", { signature: "sig=::" }, "request_signature_invalid"],
  ] as const)("%s", async ([, headers, reason], { expect }) => {
    expect(await verdict(keys.ES256, {}, { headers })).toMatchObject({ reason });
  });

  test("two signatures with the tag are refused, and an intermediary's signature next to the client's does not matter", async ({
    expect,
  }) => {
    const request = { method: "GET", url, headers: new Headers({ authorization: "Bearer token" }) };
    const mine = await signedFields(keys.ES256, request, {
      parts: ["@method", "@target-uri", "authorization"],
      created: now,
    });
    const both = (tag: string) => ({
      "signature-input": `${mine["signature-input"]}, proxy=("@method");created=1;tag="${tag}"`,
      signature: `${mine.signature}, proxy=:AAAA:`,
    });
    const outcome = async (tag: string) =>
      signatures.verify(
        { ...request, headers: new Headers({ authorization: "Bearer token", ...both(tag) }), body: none },
        signer,
        at,
      );
    expect(await outcome("proxy")).toEqual({ ok: true, value: "es" });
    expect(await outcome("fapi-2-request")).toEqual({
      ok: false,
      error: { reason: "request_signature_malformed" },
    });
  });
});

describe("T35: changes on the way are detected", () => {
  test.for([
    ["method", { method: "POST" }],
    ["query", { url: `${url}y` }],
    ["host", { url: url.replace("gateway", "other") }],
    ["token", { headers: { authorization: "Bearer other" } }],
  ] as const)("%s", async ([, more], { expect }) => {
    expect(await verdict(keys.ES256, {}, more)).toEqual({ reason: "request_signature_invalid" });
  });

  test("a parameter of the signature", async ({ expect }) => {
    const request = { method: "GET", url, headers: new Headers({ authorization: "Bearer token" }) };
    const { "signature-input": input } = await signedFields(keys.ES256, request, {
      parts: ["@method", "@target-uri", "authorization"],
      created: now - 50,
    });
    const younger = input.replace(String(now - 50), String(now));
    expect(
      await verdict(
        keys.ES256,
        { created: now - 50 },
        { headers: { "signature-input": younger } },
        instant(at + 40_000),
      ),
    ).toEqual({
      reason: "request_signature_invalid",
    });
  });
});

describe("T36: the body is the signed body", () => {
  const flipped = form.with(0, 0x4e);
  test.for([
    ["one byte differs", digestOf(form), flipped],
    ["only a deprecated hash", `md5=:${createHash("md5").update(form).digest("base64")}:`, form],
    ["one of two hashes differs", `${digestOf(form)}, ${digestOf(flipped, "sha512")}`, form],
    ["a hash that is a text", 'sha-256="x"', form],
    ["no dictionary", "sha-256=", form],
  ] as const)("%s", async ([, digest, body], { expect }) => {
    const headers = new Headers({ authorization: "Bearer token", "content-digest": digest });
    const request = { method: "POST", url, headers };
    const parts = ["@method", "@target-uri", "authorization", "content-digest"];
    for (const [name, value] of Object.entries(
      await signedFields(keys.ES256, request, { parts, created: now }),
    ))
      headers.set(name, value);
    expect(await signatures.verify({ ...request, body }, signer, at)).toEqual({
      ok: false,
      error: { reason: "content_digest_mismatch" },
    });
  });

  test("sha-512 alone is enough, and so is a known hash next to an unknown hash", async ({ expect }) => {
    for (const digest of [digestOf(form, "sha512"), `${digestOf(form)}, blake3=:AAAA:`]) {
      const headers = new Headers({ authorization: "Bearer token", "content-digest": digest });
      const parts = ["@method", "@target-uri", "authorization", "content-digest"];
      const fields = await signedFields(
        keys.ES256,
        { method: "POST", url, headers },
        { parts, created: now },
      );
      for (const [name, value] of Object.entries(fields)) headers.set(name, value);
      expect(await signatures.verify({ method: "POST", url, headers, body: form }, signer, at)).toEqual({
        ok: true,
        value: "es",
      });
    }
  });
});

describe("T37: the algorithm belongs to the key", () => {
  test("a signature may name only its key's algorithm", async ({ expect }) => {
    expect(await verdict(keys.ES256, { alg: "ecdsa-p256-sha256" })).toBe("es");
    expect(await verdict(keys.EdDSA, { alg: "ed25519" })).toBe("ed");
    for (const alg of ["ed25519", "hmac-sha256", "ES256", "rsa-pss-sha512"]) {
      expect(await verdict(keys.ES256, { alg }), alg).toEqual({
        reason: "request_signature_algorithm_mismatch",
      });
    }
    expect(await verdict(keys.PS256, { alg: "rsa-pss-sha512" })).toEqual({
      reason: "request_signature_algorithm_mismatch",
    });
    const wrongSigner = await verdict(keys.ES256, { keyid: "ed" });
    expect(wrongSigner).toEqual({ reason: "request_signature_invalid" });
  });

  test("a key that says another algorithm of itself, or a curve that signs no requests, signs none", async ({
    expect,
  }) => {
    const p384 = await newKey("ES384", "p384");
    const rs: PublicJwk = { ...keys.PS256.jwk, alg: "RS384" };
    expect(await verdict(keys.PS256, {}, {}, at, { keys: [rs] })).toEqual({
      reason: "request_signature_algorithm_mismatch",
    });
    expect(await verdict(keys.ES256, { keyid: "p384" }, {}, at, { keys: [p384.jwk] })).toEqual({
      reason: "request_signature_algorithm_mismatch",
    });
  });

  test("a foreign key of the same name proves nothing; if two keys share a name, the key that signed proves it", async ({
    expect,
  }) => {
    expect(await verdict(other)).toEqual({ reason: "request_signature_invalid" });
    expect(await verdict(other, {}, {}, at, { keys: [keys.ES256.jwk, other.jwk] })).toBe("es");
  });

  test("keys at an address are asked for anew when the name is not among them", async ({ expect }) => {
    const requests: string[] = [];
    const ask = (how: string, set: readonly PublicJwk[]) => (uri: string) => {
      requests.push(`${how} ${uri}`);
      return Promise.resolve(set);
    };
    const fetching = requestSignatures({ at: ask("at", []), anew: ask("anew", [keys.ES256.jwk]) });
    const headers = new Headers({ authorization: "Bearer token" });
    const parts = ["@method", "@target-uri", "authorization"];
    for (const [name, value] of Object.entries(
      await signedFields(keys.ES256, { method: "GET", url, headers }, { parts, created: now }),
    ))
      headers.set(name, value);
    const holder = { keys: [], jwksUri: "https://keys.example" };
    expect(await fetching.verify({ method: "GET", url, headers, body: none }, holder, at)).toEqual({
      ok: true,
      value: "es",
    });
    expect(requests).toEqual(["at https://keys.example", "anew https://keys.example"]);
  });
});

// RFC 9421 Appendix B. Omitted: B.2.2 (`@query-param`) and B.2.4 (an answer), whose components this gateway
// does not read; the signatures of B.2.1 and B.2.3 (RSASSA-PSS with SHA-512) and B.2.5 (HMAC), whose
// algorithms it does not take (FAPI 2.0 §5.4.1).
describe("RFC 9421 Appendix B", () => {
  const created = 1_618_884_473;
  const p256: PublicJwk = {
    kty: "EC",
    crv: "P-256",
    x: "qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA",
    y: "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0",
  };
  const ed25519: PublicJwk = { kty: "OKP", crv: "Ed25519", x: "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs" };
  const digest =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
  const clientCert =
    ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:";
  const request = {
    method: "POST",
    url: "https://example.com/foo?param=Value&Pet=dog",
    headers: new Headers({
      host: "example.com",
      date: "Tue, 20 Apr 2021 02:07:55 GMT",
      "content-type": "application/json",
      "content-digest": digest,
      "content-length": "18",
    }),
  };
  const proxied = {
    ...request,
    url: "https://service.internal.example/foo?param=Value&Pet=dog",
    headers: new Headers({ "client-cert": clientCert }),
  };
  const transformed = {
    method: "GET",
    url: "https://example.org/demo?name1=Value1&Name2=value2",
    headers: new Headers({ accept: "application/json, */*" }),
  };
  const baseOf = (
    parts: readonly string[],
    parameters: readonly [string, BareItem][],
    of: Omit<SignableRequest, "body">,
  ) => {
    const items = parts.map((part): Item => [part, new Map()]);
    const base = signatureBase(parts, serializeInnerList([items, new Map(parameters)]), of);
    return base.ok ? base.value : base.error.reason;
  };

  test("the bases of B.2.1, B.2.3 and B.2.5, byte for byte", ({ expect }) => {
    const minimal = [
      ["created", created],
      ["keyid", "test-key-rsa-pss"],
      ["nonce", "b3k2pp5k7z-50gnwp.yemd"],
    ] as const;
    expect(
      baseOf(
        [],
        [...minimal].map(([name, value]): [string, BareItem] => [name, value]),
        request,
      ),
    ).toBe(
      '"@signature-params": ();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
    );
    const full = [
      "date",
      "@method",
      "@path",
      "@query",
      "@authority",
      "content-type",
      "content-digest",
      "content-length",
    ];
    expect(
      baseOf(
        full,
        [
          ["created", created],
          ["keyid", "test-key-rsa-pss"],
        ],
        request,
      ),
    ).toBe(
      [
        '"date": Tue, 20 Apr 2021 02:07:55 GMT',
        '"@method": POST',
        '"@path": /foo',
        '"@query": ?param=Value&Pet=dog',
        '"@authority": example.com',
        '"content-type": application/json',
        `"content-digest": ${digest}`,
        '"content-length": 18',
        '"@signature-params": ("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"',
      ].join("\n"),
    );
    expect(
      baseOf(
        ["date", "@authority", "content-type"],
        [
          ["created", created],
          ["keyid", "test-shared-secret"],
        ],
        request,
      ),
    ).toBe(
      [
        '"date": Tue, 20 Apr 2021 02:07:55 GMT',
        '"@authority": example.com',
        '"content-type": application/json',
        '"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
      ].join("\n"),
    );
  });

  test.for([
    [
      "B.2.6",
      ["date", "@method", "@path", "@authority", "content-type", "content-length"],
      "test-key-ed25519",
      request,
      ed25519,
      "EdDSA",
      "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    ],
    [
      "B.3",
      ["@path", "@query", "@method", "@authority", "client-cert"],
      "test-key-ecc-p256",
      proxied,
      p256,
      "ES256",
      "xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==",
    ],
    [
      "B.4",
      ["@method", "@path", "@authority", "accept"],
      "test-key-ed25519",
      transformed,
      ed25519,
      "EdDSA",
      "ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==",
    ],
  ] as const)(
    "the published signature of %s, and none over another base",
    async ([, parts, keyid, of, key, algorithm, text], { expect }) => {
      const base = baseOf(
        parts,
        [
          ["created", created],
          ["keyid", keyid],
        ],
        of,
      );
      const signature = new Uint8Array(Buffer.from(text, "base64"));
      const signed = (base: string) =>
        signedBytes(new Uint8Array(Buffer.from(base)), signature, key, algorithm);
      expect(await signed(base)).toBe(true);
      expect(
        await signed(base.replace("GMT", "UTC").replace("/foo", "/bar").replace("/demo", "/demos")),
      ).toBe(false);
    },
  );
});
