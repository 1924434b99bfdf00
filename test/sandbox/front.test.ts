import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import type { IncomingHttpHeaders, IncomingMessage, RequestListener } from "node:http";
import { Agent, request } from "node:https";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, afterEach, test } from "vitest";
import {
  ensureAuthority,
  ensureServerCertificate,
  issueClientCertificate,
} from "../../sandbox/certificates.ts";
import { startFront, type Front } from "../../sandbox/front/front.ts";
import { ask, askRaw, open, pair, rawTarget, worker } from "./front-client.ts";

const dir = join(tmpdir(), `phylax-front-${randomUUID()}`);
const { serverCa, clientCa } = await ensureAuthority(dir);
const server = await ensureServerCertificate(dir);
const client = await issueClientCertificate(dir, "client", "CN=client");
const ca = serverCa.cert;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const front = async (target: { host: string; port: number }): Promise<Front> => {
  const started = await startFront({ port: 0, server, clientCa: clientCa.cert, target });
  closers.push(() => started.close());
  return started;
};
async function frontFor(answer: (...asked: Parameters<RequestListener>) => unknown): Promise<Front> {
  const upstream = await worker(answer);
  closers.push(upstream.close);
  return front(upstream.target);
}

test("T24: nothing that only an edge may say gets past from a client", async ({ expect }) => {
  let seen: IncomingHttpHeaders = {};
  const { port } = await frontFor((req, res) => {
    seen = req.headers;
    res.end();
  });
  const forged = {
    "MF-CF-Blob": '{"tlsClientAuth":{"certVerified":"SUCCESS","certPresented":"1"}}',
    "mf-original-url": "https://elsewhere/",
    "CF-Connecting-IP": "203.0.113.9",
    "CF-Ray": "1",
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Host": "elsewhere",
    "x-forwarded-proto": "http",
    "X-Real-IP": "203.0.113.9",
    "True-Client-IP": "203.0.113.9",
    Forwarded: "for=203.0.113.9",
    "Client-Cert": ":AAAA:",
    "Client-Cert-Chain": ":AAAA:",
    "CDN-Loop": "x",
    "X-Front-CF": "{}",
    Connection: "close, te",
    "Proxy-Authorization": "Basic eA==",
    Te: "trailers",
    "X-Kept": "kept",
  };
  await ask({ port, ca, headers: forged });
  const { "mf-cf-blob": cf, ...rest } = seen;
  expect(JSON.parse(String(cf)).tlsClientAuth).toMatchObject({ certPresented: "0", certVerified: "NONE" });
  expect(rest).toEqual({
    host: `localhost:${port}`,
    "x-kept": "kept",
    "cf-connecting-ip": "127.0.0.1",
    "x-forwarded-proto": "https",
    "mf-disable-pretty-error": "true",
  });
});

const methods =
  "GET HEAD POST PUT PATCH DELETE OPTIONS PURGE QUERY SEARCH REPORT COPY MOVE LOCK UNLOCK MKCOL PROPFIND PROPPATCH ACL MERGE CHECKOUT".split(
    " ",
  );
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\nMF-CF-Blob: {"forged":1}\r\n\r\n';
const length = `Content-Length: ${smuggled.length}`;
const chunks = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;

test("on the wire to the worker every method is framed once, as the parser read it, with and without a body", async ({
  expect,
}) => {
  const target = await rawTarget();
  closers.push(target.close);
  const { port } = await front(target);
  const none = (method: string) =>
    ["GET", "HEAD", "DELETE", "OPTIONS"].includes(method) ? [] : ["Content-Length: 0"];
  for (const method of methods)
    for (const [sent, body, framing] of [
      [[], "", none(method)],
      [["Connection: keep-alive, TE,,trailer"], "", none(method)],
      [["Content-Length: 0"], "", ["Content-Length: 0"]],
      [[length], smuggled, [length]],
      [["Transfer-Encoding: Chunked"], chunks, ["Transfer-Encoding: chunked"]],
    ] as const) {
      const what = `${method} ${sent.join()}`;
      const head = [`${method} /outer HTTP/1.1`, "Host: localhost", ...sent].join("\r\n");
      expect(await askRaw(port, ca, `${head}\r\n\r\n${body}`), what).toMatch(/^HTTP\/1\.1 200 /u);
      const bytes = target.take(); // a remainder of one request would begin the next request
      const end = bytes.indexOf("\r\n\r\n");
      const [first, ...lines] = bytes.slice(0, end).split("\r\n");
      expect(first, what).toBe(`${method} /outer HTTP/1.1`);
      expect(
        lines.filter((line) => /^(?:content-length|transfer-encoding):/iu.test(line)),
        what,
      ).toEqual(framing);
      expect(bytes.slice(end + 4), what).toBe(body);
    }
  await pause(20);
  expect(target.take()).toBe("");
});

test("a Connection header that names more than hop headers is 400, and not a byte of it reaches the worker", async ({
  expect,
}) => {
  const target = await rawTarget();
  closers.push(target.close);
  const { port } = await front(target);
  for (const name of [
    "Content-Length",
    "transfer-encoding",
    "Host",
    "authorization",
    "mf-cf-blob",
    "expect",
    "connection",
    "x-own",
  ])
    for (const connection of [
      `Connection: keep-alive, ${name}`,
      `Connection: ${name}\t,close`,
      `Connection: keep-alive\r\nconnection: ${name.toUpperCase()}`,
    ])
      for (const method of ["GET", "POST", "DELETE"])
        for (const [framing, body] of [
          [length, smuggled],
          ["Transfer-Encoding: chunked", chunks],
          ["X-None: 1", ""],
        ] as const) {
          const bytes = `${method} /outer HTTP/1.1\r\nHost: localhost\r\n${connection}\r\n${framing}\r\n\r\n${body}`;
          expect(await askRaw(port, ca, bytes), bytes).toMatch(/^HTTP\/1\.1 400 /u);
        }
  expect(target.take()).toBe("");
});

test("bodies stream both ways, whole and in time", async ({ expect }) => {
  const half = Promise.withResolvers<void>();
  const { port } = await frontFor(async (req, res) => {
    let length = 0;
    for await (const chunk of req) length += (chunk as Buffer).length;
    res.write(String(length));
    await half.promise;
    res.end(" bytes");
  });
  const sent = request({ host: "localhost", port, method: "POST", agent: false, ca: readFileSync(ca) });
  for (let i = 0; i < 48; i++) sent.write(Buffer.alloc(65_536));
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage]; // the event's argument
  // arrives while the worker has not sent the rest yet
  const [first] = (await once(response, "data")) as [Buffer];
  expect(first.toString()).toBe(String(48 * 65_536));
  half.resolve();
  expect((await once(response, "data")).toString()).toBe(" bytes");
  await once(response, "end");
});

test("a body that fails in the worker reaches the client as a broken transfer, chunked or of known length", async ({
  expect,
}) => {
  for (const headers of [{}, { "Content-Length": "1000" }]) {
    const { port } = await frontFor((_req, res) => {
      res.writeHead(200, headers).write("x".repeat(100), () => res.destroy());
    });
    await expect(ask({ port, ca })).rejects.toThrow(/aborted|ECONNRESET|hang up/u);
  }
});

test("a client that leaves aborts the worker's request, before and within the answer", async ({ expect }) => {
  for (const begin of [false, true]) {
    const arrived = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<void>();
    const { port } = await frontFor((_req, res) => {
      res.on("close", aborted.resolve);
      if (begin) res.writeHead(200).write("first");
      arrived.resolve();
    });
    const sent = request({ host: "localhost", port, agent: false, ca: readFileSync(ca) });
    sent.on("error", () => {}).on("response", (response) => response.on("error", () => {}).resume());
    sent.end();
    await arrived.promise;
    await pause(20);
    sent.destroy();
    await aborted.promise; // the test's own time limit is the assertion
    expect(sent.destroyed).toBe(true);
  }
});

test("an upload that breaks off aborts the worker's request", async ({ expect }) => {
  const [arrived, aborted] = [Promise.withResolvers<unknown>(), Promise.withResolvers<boolean>()];
  const { port } = await frontFor((req) => {
    req.once("data", arrived.resolve).on("close", () => aborted.resolve(req.complete));
  });
  const socket = await open(port, ca);
  socket.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf");
  await arrived.promise;
  socket.destroy();
  expect(await aborted.promise).toBe(false);
});

test("a worker that answers before it read the body still gets its answer through", async ({ expect }) => {
  const { port } = await frontFor((_req, res) => res.writeHead(401).end("no"));
  const answer = await ask({ port, ca, method: "POST", body: "x".repeat(2_000_000) });
  expect(answer).toMatchObject({ status: 401, body: "no" });
});

test("a client that sends on after its answer is read to the end, and its connection takes the next request", async ({
  expect,
}) => {
  const { port } = await frontFor((_req, res) => res.writeHead(413).end("no"));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  closers.push(() => agent.destroy());
  let connections = 0;
  agent.on("keylog", () => (connections += 1)); // a new connection writes a few lines
  const body = "x".repeat(5_000_000);
  const answers = [await ask({ port, ca, method: "POST", body, agent })];
  const ofTheFirst = connections;
  for (let time = 0; time < 4; time += 1) answers.push(await ask({ port, ca, method: "POST", body, agent }));
  expect(answers.map(({ status }) => status)).toEqual([413, 413, 413, 413, 413]);
  expect(connections).toBe(ofTheFirst);
});

test("Expect: 100-continue is answered, and not passed on", async ({ expect }) => {
  let expectation: string | undefined = "none seen";
  const { port } = await frontFor((req, res) => {
    expectation = req.headers.expect;
    req.pipe(res);
  });
  const sent = request({
    host: "localhost",
    port,
    method: "POST",
    agent: false,
    ca: readFileSync(ca),
    headers: { Expect: "100-continue", "Content-Length": "4" },
  });
  sent.flushHeaders();
  await once(sent, "continue");
  sent.end("body");
  const [response] = (await once(sent, "response")) as [IncomingMessage]; // the event's argument
  expect((await once(response, "data")).toString()).toBe("body");
  expect(expectation).toBeUndefined();
});

test("T1: TLS 1.2 is refused, and no session is ever resumed", async ({ expect }) => {
  const { port } = await frontFor((_req, res) => res.end());
  const old = connect({
    host: "127.0.0.1",
    servername: "localhost",
    port,
    ca: readFileSync(ca),
    maxVersion: "TLSv1.2",
  });
  await expect(once(old, "secureConnect")).rejects.toThrow(/protocol version/u);

  const first = await open(port, ca, client);
  const session = Promise.withResolvers<Buffer | undefined>();
  first.on("session", session.resolve).on("close", () => session.resolve(undefined));
  first.end("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  first.resume();
  const ticket = await session.promise;
  const again = connect({
    host: "127.0.0.1",
    servername: "localhost",
    port,
    ca: readFileSync(ca),
    ...pair(client),
    ...(ticket && { session: ticket }),
  });
  await once(again, "secureConnect");
  expect(again.isSessionReused()).toBe(false);
  again.destroy();
});

test("without a worker, or if the worker breaks off, the answer is an OperationOutcome without details", async ({
  expect,
}) => {
  const closed = await worker(() => {});
  closed.close();
  const down = await ask({ port: (await front(closed.target)).port, ca });
  expect([down.status, down.headers["content-type"], JSON.parse(down.body)]).toEqual([
    503,
    "application/fhir+json; charset=utf-8",
    {
      resourceType: "OperationOutcome",
      issue: [
        {
          severity: "error",
          code: "transient",
          diagnostics: "The gateway is not running. Ask again in a second.",
        },
      ],
    },
  ]);
  expect(down.body).not.toContain(String(closed.target.port));
  expect(down.headers["retry-after"]).toBe("1");

  const breaking = await ask({ port: (await frontFor((req) => req.socket.destroy())).port, ca });
  expect([breaking.status, JSON.parse(breaking.body).resourceType]).toEqual([503, "OperationOutcome"]);
});

test("hundreds of requests at once wait for one of 256 connections, and all are answered", async ({
  expect,
}) => {
  let connections = 0;
  const full = Promise.withResolvers<void>();
  const upstream = await worker(async (_req, res) => {
    await full.promise;
    await pause(300); // time enough for a 257th request to arrive, if it were allowed
    res.end("ok");
  });
  closers.push(upstream.close);
  upstream.server.on("connection", () => {
    if (++connections === 256) full.resolve();
  });
  const { port } = await front(upstream.target);
  const agent = new Agent({ keepAlive: true, maxSockets: 330, ca: readFileSync(ca) });
  const answers = await Promise.all(Array.from({ length: 600 }, () => ask({ port, ca, agent })));
  agent.destroy();
  expect(answers.every(({ status, body }) => status === 200 && body === "ok")).toBe(true);
  expect(connections).toBe(256);
});

test("close ends idle and busy connections at once", async ({ expect }) => {
  const upstream = await worker(() => {});
  closers.push(upstream.close);
  const started = await startFront({ port: 0, server, clientCa: clientCa.cert, target: upstream.target });
  const [idle, busy] = [await open(started.port, ca), await open(started.port, ca)];
  busy.on("error", () => {}).write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await pause(20);
  const ended = Promise.all([idle, busy].map((socket) => once(socket.resume(), "close")));
  await started.close();
  await ended;
  await expect(open(started.port, ca)).rejects.toThrow("ECONNREFUSED");
});

test("a port in use is an error, not a front that never starts", async ({ expect }) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo; // it listens on TCP
  await expect(
    startFront({ port, server, clientCa: clientCa.cert, target: { host: "127.0.0.1", port: 1 } }),
  ).rejects.toThrow("EADDRINUSE");
  taken.close();
});
