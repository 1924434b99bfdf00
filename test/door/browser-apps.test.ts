import { afterAll, beforeAll, test } from "vitest";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import { openLedger } from "../support/auditor.ts";
import {
  askWithProof,
  keyBoundToken,
  keyHolder,
  keyHolderEntry,
  type KeyHolder,
} from "../support/key-holder.ts";
import { clientEntries, joined, starterPolicy } from "../support/outside.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

const [page, otherPage, strange] = [
  "https://app.example.org",
  "https://other.example.org",
  "https://evil.example",
];
const path = "Patient/amara-okafor";
const allow = "access-control-allow-origin";

let phylax: Door;
let holder: KeyHolder;
let token: string;
beforeAll(async () => {
  phylax = await startDoor();
  holder = await keyHolder("browser-app");
  const other = await keyHolder("other-app");
  await phylax.applyRegistry(
    joined(
      { policies: [starterPolicy("treat")] },
      clientEntries(
        { ...keyHolderEntry(holder), corsOrigins: [page, "http://localhost:3000"] },
        "TREAT",
        "treat",
        "system/*.rs",
      ),
      clientEntries({ ...keyHolderEntry(other), corsOrigins: [otherPage] }, "TREAT", "treat", "system/*.rs"),
    ),
  );
  token = await keyBoundToken(phylax, holder);
}, 120_000);
afterAll(() => phylax.close());

const preflight = (
  url: string,
  origin: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> =>
  send(phylax.dev, undefined, url, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "GET",
      "access-control-request-headers": "authorization, dpop",
      ...headers,
    },
  });
const corsOf = ({ headers }: Reply) =>
  Object.keys(headers).filter((name) => name.startsWith("access-control-"));

test("a preflight is answered before any credential, the same for every registered page, and leaves no record", async ({
  expect,
}) => {
  const before = (await openLedger(phylax.dev)).length;
  for (const origin of [page, otherPage, "http://localhost:3000"]) {
    const reply = await preflight(`${phylax.dev.fhir}/${path}`, origin);
    expect(reply).toMatchObject({
      status: 204,
      text: "",
      headers: {
        [allow]: origin,
        "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        vary: "Origin",
      },
    });
    const sent = String(reply.headers["access-control-allow-headers"]).toLowerCase().split(", ");
    expect(sent).toEqual(expect.arrayContaining(["authorization", "dpop", "phylax-purpose", "content-type"]));
    expect(reply.headers).not.toHaveProperty("access-control-allow-credentials");
  }
  expect(await openLedger(phylax.dev)).toHaveLength(before);
});

test("no further page is let in, in any spelling", async ({ expect }) => {
  for (const origin of [
    strange,
    "null",
    "*",
    `${page}.evil.example`,
    `${page}:444`,
    "http://app.example.org",
    "https://APP.example.org",
  ]) {
    const reply = await preflight(`${phylax.dev.fhir}/${path}`, origin);
    expect({ status: reply.status, cors: corsOf(reply), vary: reply.headers.vary }, origin).toEqual({
      status: 204,
      cors: [],
      vary: "Origin",
    });
  }
});

test("an app reads a patient from its own page, and can read receipt, limits and the next nonce", async ({
  expect,
}) => {
  const reply = await askWithProof(phylax, holder, token, path, { headers: { origin: page } });
  expect(reply.status).toBe(200);
  expect(reply.headers).toMatchObject({ [allow]: page, vary: "Origin" });
  const exposed = String(reply.headers["access-control-expose-headers"]).toLowerCase().split(", ");
  for (const name of ["phylax-receipt", "ratelimit", "ratelimit-policy", "dpop-nonce", "x-request-id"]) {
    expect(exposed).toContain(name);
    expect(reply.headers, name).toHaveProperty(name);
  }
  const sometimes = ["www-authenticate", "retry-after", "signature", "signature-input", "content-digest"];
  for (const name of sometimes) expect(exposed).toContain(name);
  expect(reply.headers).not.toHaveProperty("access-control-allow-credentials");
});

test("another client's page cannot read this client's answers, and an unregistered page can read none", async ({
  expect,
}) => {
  for (const origin of [otherPage, strange]) {
    const reply = await askWithProof(phylax, holder, token, path, { headers: { origin } });
    expect({ status: reply.status, cors: corsOf(reply), vary: reply.headers.vary }).toEqual({
      status: 200,
      cors: [],
      vary: "Origin",
    });
  }
});

test("an app can read the reason of a refusal", async ({ expect }) => {
  const anonymous = await send(phylax.dev, undefined, `${phylax.dev.fhir}/${path}`, {
    headers: { origin: page },
  });
  expect(anonymous).toMatchObject({ status: 401, headers: { [allow]: page, vary: "Origin" } });
  const replayed = await askWithProof(phylax, holder, token, path, {
    headers: { origin: page },
    proof: "spoiled",
  });
  expect(replayed).toMatchObject({ status: 401, headers: { [allow]: page } });
  const absent = await askWithProof(phylax, holder, token, "Patient/nobody", { headers: { origin: page } });
  expect(absent).toMatchObject({ status: 404, headers: { [allow]: page } });
  const malformed = await send(phylax.dev, undefined, `${phylax.dev.fhir}/%2e%2e`, {
    headers: { origin: page },
  });
  expect(malformed.headers[allow]).toBe(page);
});

test("any page can read the documents that need no credential, and no page can read the token endpoint", async ({
  expect,
}) => {
  const documents = [
    `${phylax.dev.fhir}/metadata`,
    `${phylax.dev.fhir}/.well-known/smart-configuration`,
    `${phylax.dev.gateway}/.well-known/oauth-authorization-server`,
    `${phylax.dev.gateway}/.well-known/oauth-protected-resource/v1/fhir/main`,
    `${phylax.dev.gateway}/oauth/jwks`,
  ];
  for (const url of documents) {
    const read = (origin: string) => send(phylax.dev, undefined, url, { headers: { origin } });
    expect(await read(page), url).toMatchObject({ status: 200, headers: { [allow]: page, vary: "Origin" } });
    expect((await read(strange)).headers[allow], url).toBe("*");
    expect((await preflight(url, page)).headers[allow]).toBe(page);
    const others = await preflight(url, strange);
    expect(others.headers[allow]).toBe("*");
    expect(others.headers["access-control-allow-headers"], "no credential").toBe("Accept, Content-Type");
  }
  expect(corsOf(await preflight(phylax.dev.tokenEndpoint, page))).toEqual([]);
});

test("an OPTIONS request that is no preflight is refused and on record like every method", async ({
  expect,
}) => {
  const reply = await send(phylax.dev, undefined, `${phylax.dev.fhir}/${path}`, { method: "OPTIONS" });
  expect(reply.status).toBe(401);
  expect(reply.headers).toHaveProperty("phylax-receipt");
});
