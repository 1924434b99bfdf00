import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK } from "jose";
import { afterAll, beforeAll, test } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import { ensureAuthority, ensureServerCertificate } from "../../sandbox/certificates.ts";
import { startFront, type Front } from "../../sandbox/front/front.ts";
import { newKey, sign } from "../support/credentials.ts";
import { SecretWatch } from "../support/secret-watch.ts";

// Shows that the watch over the end-to-end tests reports a leak: a server behind a front that answers as the
// test orders.
const state = mkdtempSync(join(tmpdir(), "phylax-watch-"));
const key = await newKey("ES256", "k");
const { d: privatePart = "" } = await exportJWK(key.privateKey);
const token = await sign(key, { sub: "someone", jti: "the token of this test" });
const [, payload = "", signature = ""] = token.split(".");
const opaque = "b3BhcXVlLXRva2Vu".repeat(3);
let answer: { readonly status: number; readonly body: string };
const server = createServer((request, response) => {
  request.resume().on("end", () => response.writeHead(answer.status).end(answer.body));
});
let front: Front;
let ca = "";
beforeAll(async () => {
  const { serverCa, clientCa } = await ensureAuthority(join(state, "pki"));
  ca = serverCa.cert;
  mkdirSync(join(state, "secrets"), { recursive: true });
  writeFileSync(join(state, "secrets", "paging"), "kept-secret-of-the-state-folder\n");
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has an AddressInfo
  front = await startFront({
    port: 0,
    server: await ensureServerCertificate(join(state, "pki")),
    clientCa: clientCa.cert,
    target: { host: "127.0.0.1", port },
  });
});
afterAll(async () => {
  await front.close();
  server.close();
  rmSync(state, { recursive: true, force: true });
});

/** The watch's finding after this action. */
async function found(doing: () => unknown): Promise<string | undefined> {
  const watch = new SecretWatch(state);
  await doing();
  try {
    watch.end();
    return undefined;
  } catch (fault) {
    return (fault as Error).message; // the watch throws only Errors
  }
}
async function ask(
  status: number,
  body: string,
  sent: { headers?: Record<string, string>; body?: string } = {},
) {
  answer = { status, body };
  await send({ ca }, undefined, `https://localhost:${front.port}/some/path?query`, {
    method: "POST",
    ...sent,
  });
}

test.for([
  ["a token", () => console.error(`fault at ${token}`)],
  ["a line straight to the stream", () => process.stderr.write(`${token}\n`)],
  ["a private key of the tests", () => console.log(`{"d":"${privatePart}"}`)],
  ["a secret of the state folder", () => console.warn("with kept-secret-of-the-state-folder")],
] as const)(
  "T46: the watch sees %s that is printed, and does not repeat it",
  async ([, print], { expect }) => {
    expect(await found(print)).toBe("a token, an assertion, a proof or a key was printed");
  },
);

test.for([
  ["a bearer token", opaque, { headers: { authorization: `Bearer ${opaque}` } }],
  ["a proof's signature", signature, { headers: { dpop: token } }],
  ["an assertion's payload", payload, { body: `grant_type=x&client_assertion=${token}` }],
  ["the tests' key", privatePart, {}],
] as const)("T46: the watch sees %s in an error, and says to whom", async ([, secret, sent], { expect }) => {
  const was = await found(() => ask(400, `{"diagnostics":"at ${secret}"}`, sent));
  expect(was).toBe("a token, an assertion, a proof or a key was in the answer to POST /some/path");
});

test("T46: a token that was issued is known from then on, and may leave in an answer that is no error", async ({
  expect,
}) => {
  const issued = `{"access_token":"${opaque}"}`;
  expect(await found(() => ask(200, issued))).toBeUndefined();
  const later = async () => {
    await ask(200, issued);
    console.log(opaque);
  };
  expect(await found(later)).toContain("printed");
});

test("T46: the watch ignores ordinary lines and errors, and restores the functions that it replaced", async ({
  expect,
}) => {
  const print = console.error;
  expect(
    await found(() =>
      ask(401, `{"id":"${"0123456789abcdef".repeat(2)}"}`, { headers: { authorization: `Bearer ${token}` } }),
    ),
  ).toBeUndefined();
  expect(await found(() => console.error("an ordinary line"))).toBeUndefined();
  expect(console.error).toBe(print);
});
