import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, test } from "vitest";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { upstream } from "#platform/upstream";

const seen: IncomingMessage[] = [];
let answer: (res: ServerResponse) => void;
const server = createServer((req, res) => {
  seen.push(req);
  answer(res);
});
let host = "";
beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`; // a listening TCP server has one
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const origins = (hosts: readonly string[] = [host]) =>
  upstream({
    find: (name) => Promise.resolve(name === "main" ? { base: `http://${host}/fhir`, bearer: new Secret("origin-token") } : undefined),
    hosts: new Set(hosts),
    clock: () => instant(1_000),
  });
const question = { path: "Patient", query: "_id=1" };

test("an origin is asked with its own credential, strictly, and with nothing of the client", async ({ expect }) => {
  answer = (res) => res.end("{}");
  expect(await origins().ask("main", question)).toMatchObject({ kind: "answered", base: `http://${host}/fhir` });
  const { url, headers } = seen.at(-1) ?? {};
  expect(url).toBe("/fhir/Patient?_id=1");
  expect(headers).toMatchObject({ authorization: "Bearer origin-token", accept: "application/fhir+json", prefer: "handling=strict" });
});

test("a redirect is not followed, and a body over the limit is not held", async ({ expect }) => {
  const before = seen.length;
  answer = (res) => res.writeHead(302, { location: `http://${host}/elsewhere` }).end();
  expect(await origins().ask("main", question)).toEqual({ kind: "refused", status: 302 });
  expect(seen.length).toBe(before + 1);
  answer = (res) => res.end(Buffer.alloc(1_048_577, " "));
  expect(await origins().ask("main", question)).toMatchObject({ kind: "too_large" });
});

test("404 and 410 are one absence; a broken connection is tried once more", async ({ expect }) => {
  for (const status of [404, 410]) {
    answer = (res) => res.writeHead(status).end();
    expect(await origins().ask("main", question)).toEqual({ kind: "absent" });
  }
  const before = seen.length;
  answer = (res) => res.destroy();
  expect(await origins().ask("main", question)).toEqual({ kind: "unreachable" });
  expect(seen.length).toBe(before + 2);
});

test("a host that the deployment does not name is never called, and an unknown origin is no origin", async ({ expect }) => {
  const before = seen.length;
  await expect(origins(["fhir.example"]).ask("main", question)).rejects.toThrow("ORIGIN_HOSTS");
  expect(await origins().ask("other", question)).toBeUndefined();
  expect(seen.length).toBe(before);
});

test("a server that says it is down is left alone; one that fails a request of its own is not", async ({ expect }) => {
  const own = origins();
  answer = (res) => res.writeHead(500).end();
  for (let i = 0; i < 6; i++) expect(await own.ask("main", question)).toEqual({ kind: "refused", status: 500 });
  answer = (res) => res.writeHead(503).end();
  for (let i = 0; i < 5; i++) expect(await own.ask("main", question)).toEqual({ kind: "refused", status: 503 });
  expect(await own.ask("main", question)).toEqual({ kind: "resting", retryAfterSeconds: 5 });
});
