import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from "undici";
import { afterAll, beforeAll, test, vi } from "vitest";
import { askServer } from "#platform/ask-server";
import { ensureAuthority, ensureServerCertificate } from "../../sandbox/certificates.ts";

const state = mkdtempSync(join(tmpdir(), "phylax-ask-"));
const untouched = getGlobalDispatcher();
let server: Server;
let host = "";
let asked = 0;
let answer: (res: ServerResponse) => void = (res) => res.end("{}");
beforeAll(async () => {
  const { serverCa } = await ensureAuthority(state);
  const { cert, key } = await ensureServerCertificate(state);
  server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_req, res) => {
    asked += 1;
    answer(res);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  host = `localhost:${(server.address() as AddressInfo).port}`; // a listening TCP server has one
  setGlobalDispatcher(new Agent({ connect: { ca: readFileSync(serverCa.cert) } }));
});
afterAll(() => {
  setGlobalDispatcher(untouched);
  server.closeAllConnections();
  server.close();
  rmSync(state, { recursive: true, force: true });
});

const ask = (hosts: readonly string[] = [host], path = "/jwks") =>
  askServer(new Set(hosts))({ url: `https://${host}${path}`, accept: "application/json" });
const says = (text: string | Uint8Array, status = 200, headers: Record<string, string> = {}) => {
  answer = (res) => res.writeHead(status, headers).end(text);
};

test("T18: a server of identities is asked by https, and only where the deployment lets the gateway go", async ({
  expect,
}) => {
  says('{"keys":[]}');
  expect(await ask()).toEqual({ keys: [] });
  expect(await ask(["localhost"])).toEqual({ keys: [] });
  const before = asked;
  await expect(ask([])).rejects.toThrow("IDENTITY_HOSTS");
  await expect(ask(["localhost:1", "evil.example"])).rejects.toThrow("IDENTITY_HOSTS");
  const plain = { url: `http://${host}/jwks`, accept: "application/json" };
  await expect(askServer(new Set([host]))(plain)).rejects.toThrow("https");
  expect(asked).toBe(before);
});

test("T18: a redirect is not followed, and only 200 is an answer", async ({ expect }) => {
  for (const status of [301, 302, 307]) {
    says("", status, { location: `https://${host}/elsewhere` });
    const before = asked;
    await expect(ask(), String(status)).rejects.toThrow();
    expect(asked).toBe(before + 1);
  }
  for (const status of [201, 204, 400, 401, 404, 500, 503]) {
    says(status === 204 ? "" : "{}", status);
    await expect(ask(), String(status)).rejects.toThrow(`answered ${status}`);
  }
});

test("T18: 64 KiB and not a byte more, one JSON document in UTF-8, no repeated member; no fault quotes it", async ({
  expect,
}) => {
  const canary = "canary-4711";
  says(`{"a":"${"x".repeat(65_536 - 8)}"}`);
  expect(await ask()).toBeTruthy();
  const bad: readonly (readonly [string, string | Uint8Array])[] = [
    ["too much", `{"a":"${"x".repeat(65_536 - 7)}"}`],
    ["no JSON", `{${canary}`],
    ["a member twice", `{"${canary}":1,"${canary}":2}`],
    ["no UTF-8", Uint8Array.of(0x22, 0xff, 0x22)],
    ["nothing", ""],
  ];
  for (const [what, body] of bad) {
    says(body);
    const fault = await ask().then(
      () => undefined,
      (each: unknown) => String(each),
    );
    expect(fault, what).toBeDefined();
    expect(fault, what).not.toContain(canary);
  }
});

test("T18: a server that does not get to the end is given up after two seconds", async ({ expect }) => {
  const over = new AbortController();
  answer = (res) => {
    res.writeHead(200).write("{", () => over.abort());
  };
  const given = vi.spyOn(AbortSignal, "timeout").mockReturnValue(over.signal);
  try {
    await expect(ask()).rejects.toThrow("aborted");
    expect(given.mock.calls).toEqual([[2_000]]);
  } finally {
    given.mockRestore();
  }
});

test("T2: a server without a verified certificate is not asked", async ({ expect }) => {
  says("{}");
  const trusting = getGlobalDispatcher();
  setGlobalDispatcher(untouched);
  const before = asked;
  await expect(ask()).rejects.toThrow();
  expect(asked).toBe(before);
  setGlobalDispatcher(trusting);
});
