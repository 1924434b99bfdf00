import { decodeJwt } from "jose";
import { test } from "vitest";
import type { ClientRecord } from "#identity/client";
import type { Denial } from "#identity/denial-document";
import { instant } from "#kernel/clock";
import {
  at,
  clientRecord,
  fhirBase,
  newKey,
  now,
  presented,
  publicUrl,
  sign,
} from "../support/credentials.ts";
import {
  ask,
  assertion,
  clientKey,
  endpoint,
  form,
  post,
  record,
  serverKey,
} from "../support/token-endpoint.ts";

const introspection = `${publicUrl}/oauth/introspect`;
const revocation = `${publicUrl}/oauth/revoke`;
type Door = ReturnType<typeof endpoint>;

const issued = async (door: Door) => String((await ask(door, post(await form()))).body["access_token"]);
const about = async (door: Door, url: string, token: string | undefined, key = clientKey) =>
  ask(
    door,
    post(
      await form({ grant_type: undefined, token, client_assertion: await assertion({}, key) }),
      undefined,
      {},
      url,
    ),
  );

test("a client is told what its own token says, and the question is on record", async ({ expect }) => {
  const door = endpoint();
  const token = await issued(door);
  const { status, headers, body } = await about(door, introspection, token);
  const { jti, exp } = decodeJwt(token);
  expect({ status, body }).toEqual({
    status: 200,
    body: {
      active: true,
      iss: publicUrl,
      sub: "telehealth",
      client_id: "telehealth",
      aud: fhirBase("main"),
      jti,
      exp,
      scope: "system/*.rs",
      purpose_of_use: ["TREAT"],
      token_type: "Bearer",
      cnf: { "x5t#S256": presented("telehealth").x5t },
    },
  });
  expect(headers.get("cache-control")).toBe("no-store");
  expect(headers.get("phylax-receipt")).toContain("index=1");
  expect(door.events.at(-1)).toMatchObject({
    kind: "introspection",
    who: { client: "telehealth", tokenId: jti },
    outcome: { status: 200 },
  });
});

const claims = {
  iss: publicUrl,
  sub: "payer",
  client_id: "payer",
  aud: fhirBase("main"),
  jti: "j",
  iat: now,
  exp: now + 100,
};
const bound = {
  scope: "system/*.rs",
  purpose_of_use: ["TREAT"],
  cnf: { "x5t#S256": presented("telehealth").x5t },
};

test.for<readonly [string, () => Promise<string>]>([
  ["no token at all", () => Promise.resolve("opaque")],
  [
    "another issuer's",
    () => sign(serverKey, { ...claims, ...bound, iss: "https://login.example" }, { typ: "at+jwt" }),
  ],
  ["another client's", () => sign(serverKey, { ...claims, ...bound }, { typ: "at+jwt" })],
  [
    "one over",
    () =>
      sign(
        serverKey,
        { ...claims, ...bound, client_id: "telehealth", iat: now - 200, exp: now - 1 },
        { typ: "at+jwt" },
      ),
  ],
  [
    "one for elsewhere",
    () =>
      sign(
        serverKey,
        { ...claims, ...bound, client_id: "telehealth", aud: fhirBase("other") },
        { typ: "at+jwt" },
      ),
  ],
  ["an assertion of its own", () => assertion()],
  [
    "one by a stranger's key",
    async () =>
      sign(
        await newKey("ES256", "token-1"),
        { ...claims, ...bound, client_id: "telehealth" },
        { typ: "at+jwt" },
      ),
  ],
])("of %s it is only said that it is not active", async ([, make], { expect }) => {
  const door = endpoint();
  expect(await about(door, introspection, await make())).toMatchObject({
    status: 200,
    body: { active: false },
  });
  expect(door.events).toMatchObject([
    { kind: "introspection", outcome: { status: 200, reason: "token_not_active" } },
  ]);
});

test("the same token is active for whom it is made: each case above fails for its own reason", async ({
  expect,
}) => {
  const good = await sign(
    serverKey,
    { ...claims, ...bound, client_id: "telehealth", sub: "telehealth" },
    { typ: "at+jwt" },
  );
  expect(await about(endpoint(), introspection, good)).toMatchObject({ body: { active: true } });
});

test.for<readonly [string, { readonly client?: ClientRecord; readonly denied?: readonly Denial[] }]>([
  ["its key is denied", { denied: [{ kind: "key", issuer: publicUrl, keyId: "token-1" }] }],
  ["its certificate is denied", { denied: [{ kind: "certificate", x5t: presented("telehealth").x5t }] }],
  [
    "its grant is denied",
    { denied: [{ kind: "grant", client: "telehealth", origin: "main", purpose: "TREAT" }] },
  ],
  ["its agreement is denied", { denied: [{ kind: "agreement", client: "telehealth", agreement: "baa" }] }],
  ["its policy is denied", { denied: [{ kind: "policy", digest: `sha256:${"1".repeat(64)}` }] }],
  ["its grant is gone", { client: { ...record, grants: [] } }],
  [
    "its agreement has lapsed",
    { client: { ...record, agreements: record.agreements.map((one) => ({ ...one, to: instant(at) })) } },
  ],
])("a token is not active once %s", async ([reason, { client = record, denied = [] }], { expect }) => {
  const withDigest = {
    ...client,
    grants: client.grants.map((grant) => ({ ...grant, policyDigest: `sha256:${"1".repeat(64)}` })),
  };
  const token = await issued(endpoint());
  const { body } = await about(endpoint({ client: withDigest, denied }), introspection, token);
  // The denial of the certificate also denies the client: it cannot even ask.
  expect(body).toMatchObject(
    reason === "its certificate is denied" ? { error: "invalid_client" } : { active: false },
  );
});

test("a revoked token is over for all, and what was wanted is on record before it is done", async ({
  expect,
}) => {
  const door = endpoint();
  const token = await issued(door);
  expect(await about(door, revocation, token)).toMatchObject({ status: 200, body: null });
  expect(await about(door, introspection, token)).toMatchObject({ body: { active: false } });
  const { jti } = decodeJwt(token);
  expect(door.events.slice(1, 3)).toMatchObject([
    { kind: "revocation", who: { client: "telehealth", tokenId: jti }, outcome: undefined },
    { kind: "revocation", who: { client: "telehealth", tokenId: jti }, step: 1, outcome: { status: 200 } },
  ]);
});

test("a client that has ended too many is told to come later, and that is on record", async ({ expect }) => {
  const door = endpoint({ endings: 0 });
  const token = await issued(door);
  const { status, headers } = await about(door, revocation, token);
  expect({ status, later: headers.get("retry-after") }).toEqual({ status: 503, later: "300" });
  expect(door.events.at(-1)).toMatchObject({
    kind: "revocation",
    step: 1,
    outcome: { status: 503, reason: "too_many_revocations" },
  });
  expect(await about(door, introspection, token)).toMatchObject({ body: { active: true } });
});

test("ending what is not one's own changes nothing and looks the same (RFC 7009 §2.2)", async ({
  expect,
}) => {
  const door = endpoint();
  const foreign = await sign(serverKey, { ...claims, ...bound }, { typ: "at+jwt" });
  for (const token of [foreign, "opaque"])
    expect(await about(door, revocation, token)).toMatchObject({ status: 200, body: null });
  expect(door.events).toMatchObject([
    { outcome: { reason: "token_not_active" } },
    { outcome: { reason: "token_not_active" } },
  ]);
  expect(door.events.some(({ step }) => step === 1)).toBe(false);
});

test.for([introspection, revocation])(
  "nobody is answered at %s who does not prove to be a client",
  async (url, { expect }) => {
    const door = endpoint();
    const token = await issued(door);
    expect(await about(door, url, token, await newKey("ES256", "client-1"))).toMatchObject({
      status: 401,
      body: { error: "invalid_client" },
    });
    expect(
      await ask(door, post(new URLSearchParams({ token }).toString(), undefined, {}, url)),
    ).toMatchObject({ status: 401 });
    const withoutCertificate = post(await form({ grant_type: undefined, token }), null, {}, url);
    expect(await ask(door, withoutCertificate)).toMatchObject({ status: 401 });
    expect(await about(door, url, undefined)).toMatchObject({
      status: 400,
      body: { error: "invalid_request" },
    });
    const used = await form({ grant_type: undefined, token });
    expect((await ask(door, post(used, undefined, {}, url))).status).toBe(200);
    expect((await ask(door, post(used, undefined, {}, url))).status, "an assertion is good once").toBe(401);
    expect((await door.app.fetch(new Request(url))).status).toBe(405);
  },
);

test("a client whose tokens are bound to a key asks with its assertion alone", async ({ expect }) => {
  const door = endpoint({ client: clientRecord([clientKey], { tokensBoundTo: "key", certificates: [] }) });
  const token = await sign(
    serverKey,
    { ...claims, ...bound, client_id: "telehealth", sub: "telehealth", cnf: { jkt: "K".repeat(43) } },
    { typ: "at+jwt" },
  );
  const body = await form({ grant_type: undefined, token });
  expect(await ask(door, post(body, null, {}, introspection))).toMatchObject({
    body: { active: true, token_type: "DPoP", cnf: { jkt: "K".repeat(43) } },
  });
});

test("the signing key changes without a gap: the next one is published before, the last one believed after", async ({
  expect,
}) => {
  const next = await newKey("ES256", "token-2");
  const before = endpoint({ others: [next.jwk] });
  const kids = async ({ app }: Door) =>
    (
      await (await app.fetch(new Request(`${publicUrl}/oauth/jwks`))).json<{ keys: { kid: string }[] }>()
    ).keys.map(({ kid }) => kid);
  expect(await kids(before)).toEqual(["token-1", "token-2"]);
  const content = { ...claims, ...bound, client_id: "telehealth", sub: "telehealth" };
  expect(await about(before, introspection, await sign(next, content, { typ: "at+jwt" }))).toMatchObject({
    body: { active: true },
  });
  expect(
    await about(endpoint(), introspection, await sign(next, content, { typ: "at+jwt" })),
    "retired",
  ).toMatchObject({
    body: { active: false },
  });
  // The public half of the current key beside it is the same key; a different key under its name is not
  // trusted.
  const impostor = await newKey("ES256", "token-1");
  const misnamed = endpoint({ others: [impostor.jwk] });
  expect(await kids(misnamed)).toEqual(["token-1"]);
  expect(
    await about(misnamed, introspection, await sign(impostor, content, { typ: "at+jwt" })),
  ).toMatchObject({ body: { active: false } });
});

test("metadata name the second host only where there is one (RFC 8705 §5)", async ({ expect }) => {
  const document = async (door: Door): Promise<unknown> =>
    (await door.app.fetch(new Request(`${publicUrl}/.well-known/oauth-authorization-server`))).json();
  expect(await document(endpoint())).not.toHaveProperty("mtls_endpoint_aliases");
  expect(await document(endpoint({ mtlsUrl: "https://mtls.example.org" }))).toMatchObject({
    introspection_endpoint: introspection,
    revocation_endpoint: revocation,
    mtls_endpoint_aliases: {
      token_endpoint: "https://mtls.example.org/oauth/token",
      introspection_endpoint: "https://mtls.example.org/oauth/introspect",
      revocation_endpoint: "https://mtls.example.org/oauth/revoke",
    },
  });
});
