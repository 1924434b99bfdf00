import { setTimeout as wait } from "node:timers/promises";
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair } from "jose";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import type { ServerQuestion } from "#platform/ask-server";
import { originTokens } from "#platform/origins/origin-tokens";
import { at, now } from "../../support/credentials.ts";

const credentials = {
  kind: "private_key_jwt",
  secret: "ORIGIN_KEY",
  clientId: "phylax",
  tokenEndpoint: "https://fhir.example.org/token",
  scope: "system/*.rs",
} as const;
const jwkOf = async (alg: string, more: object = {}) => {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return new Secret(JSON.stringify({ ...(await exportJWK(privateKey)), kid: `${alg}-1`, ...more }));
};
const key = await jwkOf("ES384");

function endpoint(answer: object = {}, changes: object = {}, by = key) {
  let time = at;
  let given = 0;
  const questions: ServerQuestion[] = [];
  const source = originTokens(
    (question) => {
      questions.push(question);
      given += 1;
      return Promise.resolve({
        access_token: `token-${given}`,
        token_type: "bearer",
        expires_in: 100,
        ...answer,
      });
    },
    { clock: () => time, wait: () => wait(1), keepAlive: () => {} },
  )({ ...credentials, ...changes }, by);
  const assertion = () => questions.at(-1)?.form?.get("client_assertion") ?? "";
  return {
    source,
    questions,
    assertion,
    pass: (seconds: number) => (time = instant(time + seconds * 1_000)),
  };
}

test("T39: the assertion is for one string, good for sixty seconds, and never repeated", async ({
  expect,
}) => {
  const { source, questions, assertion, pass } = endpoint();
  expect((await source.current()).reveal()).toBe("token-1");
  const { url, form } = questions[0] ?? {};
  expect(url).toBe(credentials.tokenEndpoint);
  expect(Object.fromEntries(form ?? [])).toMatchObject({
    grant_type: "client_credentials",
    scope: "system/*.rs",
    client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
  });
  expect(decodeProtectedHeader(assertion())).toEqual({ alg: "ES384", typ: "JWT", kid: "ES384-1" });
  const first = decodeJwt(assertion());
  expect(first).toMatchObject({
    iss: "phylax",
    sub: "phylax",
    aud: credentials.tokenEndpoint,
    iat: now,
    exp: now + 60,
  });
  pass(90);
  await source.current();
  expect(decodeJwt(assertion()).jti).not.toBe(first.jti);

  const fapi = endpoint({}, { audience: "https://fhir.example.org" });
  await fapi.source.current();
  expect(decodeJwt(fapi.assertion()).aud).toBe("https://fhir.example.org");
});

test("T39: each kind of key signs by its own algorithm, and an invalid key shows nothing of itself", async ({
  expect,
}) => {
  const keys: readonly (readonly [string, Secret])[] = [
    ["ES256", await jwkOf("ES256")],
    ["EdDSA", await jwkOf("Ed25519")],
    ["PS256", await jwkOf("PS256")],
    ["RS384", await jwkOf("RS384", { alg: "RS384" })],
  ];
  for (const [alg, by] of keys) {
    const { source, assertion } = endpoint({}, {}, by);
    await source.current();
    expect(decodeProtectedHeader(assertion()).alg).toBe(alg);
  }
  for (const none of [
    "canary",
    '{"kty":"oct","k":"canary"}',
    '{"kty":"EC","crv":"P-256","x":"canary","y":"canary"}',
  ]) {
    const fault = await endpoint({}, {}, new Secret(none)).source.current().then(String, String);
    expect(fault).toContain("not a private JWK");
    expect(fault).not.toContain("canary");
  }
});

test("a token endpoint that reads a secret in the form gets it there alone, with the entry's further fields", async ({
  expect,
}) => {
  const form = { resource: "urn:hospital" };
  const secret = new Secret("a-secret");
  const posted = endpoint({}, { kind: "client_secret_post", form }, secret);
  await posted.source.current();
  const [question] = posted.questions;
  expect([question?.authorization, Object.fromEntries(question?.form ?? [])]).toEqual([
    undefined,
    {
      grant_type: "client_credentials",
      scope: "system/*.rs",
      client_id: "phylax",
      client_secret: "a-secret",
      resource: "urn:hospital",
    },
  ]);
  const basic = endpoint({}, { kind: "client_secret_basic", form }, secret);
  await basic.source.current();
  expect(basic.questions[0]).toMatchObject({ authorization: `Basic ${btoa("phylax:a-secret")}` });
  expect(Object.fromEntries(basic.questions[0]?.form ?? [])).toEqual({
    grant_type: "client_credentials",
    scope: "system/*.rs",
    resource: "urn:hospital",
  });
});

test("T39: a token serves until the last quarter of its life, and none in its last tenth", async ({
  expect,
}) => {
  const { source, questions, pass } = endpoint();
  const all = await Promise.all(Array.from({ length: 50 }, () => source.current()));
  expect(new Set(all.map((token) => token.reveal()))).toEqual(new Set(["token-1"]));
  pass(74);
  expect((await source.current()).reveal()).toBe("token-1");
  pass(1);
  expect((await source.current()).reveal()).toBe("token-2");
  expect(questions).toHaveLength(2);
});

test("T39: a token that the origin does not take is asked for anew, at most once in five seconds", async ({
  expect,
}) => {
  const { source, questions, pass } = endpoint();
  const held = await source.current();
  expect(await source.anew()).toBe(held);
  pass(5);
  expect((await source.anew()).reveal()).toBe("token-2");
  expect(questions).toHaveLength(2);
});

test("T39: only a bearer token that a header can hold is accepted", async ({ expect }) => {
  for (const answer of [
    { token_type: "DPoP" },
    { token_type: undefined },
    { access_token: "a b" },
    { access_token: "" },
    { expires_in: 0 },
  ])
    await expect(endpoint(answer).source.current(), JSON.stringify(answer)).rejects.toThrow(
      "no bearer token",
    );
});

test("a client secret goes to the token endpoint alone, in the form of RFC 6749, and a new token is asked for like any other", async ({
  expect,
}) => {
  const questions: ServerQuestion[] = [];
  const source = originTokens(
    async (question) => {
      questions.push(question);
      return { access_token: `token-${questions.length}`, token_type: "bearer" };
    },
    { clock: () => at, wait: () => wait(1), keepAlive: () => {} },
  )(
    {
      kind: "client_secret_basic",
      secret: "ORIGIN_SECRET",
      clientId: "phy lax",
      tokenEndpoint: "https://fhir.example.org/token",
      scope: "system/*.cruds",
    },
    new Secret("a:b+c"),
  );
  expect((await source.current()).reveal()).toBe("token-1");
  expect(questions).toHaveLength(1);
  const [{ url, authorization, form } = { url: "", authorization: "", form: undefined }] = questions;
  expect(url).toBe("https://fhir.example.org/token");
  expect(Buffer.from(authorization?.replace("Basic ", "") ?? "", "base64").toString()).toBe(
    "phy+lax:a%3Ab%2Bc",
  );
  expect(Object.fromEntries(form ?? [])).toEqual({
    grant_type: "client_credentials",
    scope: "system/*.cruds",
  });
});
