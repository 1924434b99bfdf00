import { test } from "vitest";
import { askEarly } from "#gateway/admission/early-share";
import type { ClientRecord } from "#identity/client";
import type { ClientDirectory } from "#identity/ports";
import { Secret } from "#kernel/secret";
import type { Spend } from "#limits/ports";
import { at, clientRecord, presented, publicUrl, vouched } from "../../support/credentials.ts";

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const tokenOf = (claims: unknown) => new Secret(`${encoded({ alg: "ES256" })}.${encoded(claims)}.c2ln`);
const { x5t } = presented("telehealth");
const claims = { iss: publicUrl, client_id: "telehealth", purpose_of_use: ["TREAT"] };
const call = { token: tokenOf(claims), origin: "main", purpose: undefined, at };

/** The share that a door would prepare, with these clients in the registry. */
async function asked(
  changes: Partial<typeof call> | { readonly purpose: string } = {},
  certificate = vouched(x5t),
  client: ClientRecord = clientRecord([]),
  find?: ClientDirectory["find"],
): Promise<readonly Spend[]> {
  const spends: Spend[] = [];
  const clients: ClientDirectory = {
    find:
      find ??
      ((id) => Promise.resolve(id === client.id && client.external === undefined ? client : undefined)),
    findExternal: ({ issuer, id }) =>
      Promise.resolve(client.external?.issuer === issuer && client.external.id === id ? client : undefined),
  };
  const limiter = { prepare: (spend: Spend) => Promise.resolve(void spends.push(spend)) };
  await askEarly({ ...call, ...changes }, certificate, { clients, limiter, publicUrl });
  return spends;
}

test("a share is prepared by the claims of the token, before it is proven", async ({ expect }) => {
  const quota = { requests: 10, windowSeconds: 60, revision: 1 };
  expect(await asked()).toEqual([
    { client: "telehealth", key: "main/TREAT", policy: "default", quota, many: 1, issuer: publicUrl },
  ]);
  expect(await asked({ purpose: "TREAT" })).toHaveLength(1);
  expect(
    await asked({ token: tokenOf({ ...claims, purpose_of_use: undefined }) }),
    "the only grant",
  ).toHaveLength(1);
});

test("a client of another issuer is found by that issuer's name for it alone", async ({ expect }) => {
  const iss = "https://issuer.example";
  const client = clientRecord([], {
    id: "app",
    authentication: "external",
    external: { issuer: iss, id: "their-app" },
  });
  const of = (client_id: string) =>
    asked({ token: tokenOf({ ...claims, iss, client_id }) }, vouched(x5t), client);
  expect(await of("their-app")).toMatchObject([{ client: "app", issuer: iss }]);
  expect(await of("app")).toEqual([]);
});

test("no share is prepared for a certificate that the named client has not registered, so a stranger cannot load its guard", async ({
  expect,
}) => {
  expect(await asked({}, vouched(presented("payer").x5t))).toEqual([]);
  expect(await asked({}, vouched(x5t), clientRecord([], { status: "suspended" }))).toEqual([]);
});

test("the registry is not asked for a name that is longer than any, nor the built-in issuer for another's client", async ({
  expect,
}) => {
  const looked: string[] = [];
  const find = (client: ClientRecord | undefined) => (id: string) => {
    looked.push(id);
    return Promise.resolve(client);
  };
  for (const odd of [
    { client_id: "x".repeat(257) },
    { iss: `https://${"x".repeat(257)}.example` },
    { client_id: 7 },
  ])
    expect(
      await asked(
        { token: tokenOf({ ...claims, ...odd }) },
        vouched(x5t),
        clientRecord([]),
        find(clientRecord([])),
      ),
    ).toEqual([]);
  expect(looked).toEqual([]);
  const theirs = clientRecord([], {
    authentication: "external",
    external: { issuer: "https://issuer.example", id: "app" },
  });
  expect(await asked({}, vouched(x5t), theirs, find(theirs))).toEqual([]);
  expect(looked).toEqual(["telehealth"]);
});

test.for<readonly [string, Secret]>([
  ["no JWT", new Secret("opaque")],
  ["no JSON", new Secret("a.!!!.c")],
  ["no object", tokenOf("text")],
  ["null", tokenOf(null)],
  ["no client", tokenOf({ iss: publicUrl })],
  ["another client", tokenOf({ ...claims, client_id: "nobody" })],
  ["two purposes", tokenOf({ ...claims, purpose_of_use: ["TREAT", "HPAYMT"] })],
  ["a purpose without a grant", tokenOf({ ...claims, purpose_of_use: ["HRESCH"] })],
])("a token with %s asks for nothing and fails nothing", async ([what, token], { expect }) => {
  const spends = await asked({ token });
  // A client with a single grant has a single quota, even if its token names no single purpose.
  expect(spends).toHaveLength(what === "two purposes" ? 1 : 0);
});

test("a registry that does not answer is left for authentication to tell", async ({ expect }) => {
  expect(
    await asked({}, vouched(x5t), clientRecord([]), () => Promise.reject(new Error("D1 is down"))),
  ).toEqual([]);
});
