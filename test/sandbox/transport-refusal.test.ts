import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, test } from "vitest";
import { ensureAuthority, ensureServerCertificate } from "../../sandbox/certificates.ts";
import { startFront } from "../../sandbox/front/front.ts";
import { ask, askRaw, everything } from "./front-client.ts";

// A real Worker in a real workerd behind the front: it gets the requests that the gateway would get.
const source = `const paths = [];
export default { async fetch(request) {
  const { pathname } = new URL(request.url);
  if (pathname === "/paths") return Response.json(paths.splice(0));
  paths.push(pathname);
  if (pathname === "/bare") return new Response(null, { status: 500 });
  if (pathname === "/page") return new Response("<p>the stack of the worker", { status: 500, headers: { "Content-Type": "text/html" } });
  if (pathname === "/outcome") return Response.json({ own: true }, { status: 500, headers: { "Content-Type": "application/fhir+json; charset=utf-8" } });
  if (pathname === "/throw") throw new Error("the stack of the worker");
  if (pathname === "/break") return new Response(new ReadableStream({ async pull(c) {
    if (this.sent) { await new Promise((then) => setTimeout(then, 50)); c.error(new Error("broken")); }
    else { this.sent = true; c.enqueue(new Uint8Array(1000)); } } }));
  return Response.json({ url: request.url, method: request.method, cf: request.cf, headers: [...request.headers].length });
} }`;
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    compatibilityDate: "2026-10-01",
    modules: [{ type: "ESModule", path: "index.js", contents: source }],
  }),
);
const dir = join(tmpdir(), `phylax-transport-${randomUUID()}`);
const { serverCa, clientCa } = await ensureAuthority(dir);
const ca = serverCa.cert;
const { hostname, port: workerPort } = await miniflare.ready;
const front = await startFront({
  port: 0,
  server: await ensureServerCertificate(dir),
  clientCa: clientCa.cert,
  target: { host: hostname, port: Number(workerPort) },
});
const { port } = front;
afterAll(async () => {
  await front.close();
  await miniflare.dispose();
  rmSync(dir, { recursive: true, force: true });
});

const outcome = (code: string) => ({
  resourceType: "OperationOutcome",
  issue: [{ severity: "error", code }],
});

/** Status, media type and body of an answer in bytes. */
function read(raw: string): { status: number; type: string | undefined; body: unknown } {
  const [head = "", body = ""] = raw.split("\r\n\r\n");
  return {
    status: Number(head.split(" ")[1]),
    type: /^content-type: (.*)$/imu.exec(head)?.[1],
    body: JSON.parse(body),
  };
}
const fhirJson = "application/fhir+json; charset=utf-8";

test("the Worker sees an https URL of the public host and request.cf as the edge gives it", async ({
  expect,
}) => {
  const { status, body } = await ask({ port, ca, path: "/v1/fhir/main/Patient?_id=%20a" });
  const seen = JSON.parse(body);
  expect([status, seen.url]).toEqual([200, `https://localhost:${port}/v1/fhir/main/Patient?_id=%20a`]);
  expect(seen.cf).toMatchObject({
    tlsVersion: "TLSv1.3",
    httpProtocol: "HTTP/1.1",
    tlsClientAuth: { certPresented: "0", certVerified: "NONE" },
  });
  expect(seen.cf).not.toHaveProperty("country");
});

test("a URL over 16 KB is 414, headers over 128 KB are 431, just under both pass", async ({ expect }) => {
  const sized = (path: number, header: number) =>
    ask({ port, ca, path: `/${"a".repeat(path - 1)}`, headers: { "X-Long": "b".repeat(header) } });
  expect((await sized(16_384, 0)).status).toBe(200);
  expect((await sized(1, 130_000)).status).toBe(200);
  for (const [path, header, status] of [
    [16_385, 0, 414],
    [500_000, 0, 414],
    [1, 131_072, 431],
    [1, 500_000, 431],
    [1, 2_000_000, 431], // over the parser's limit
  ] as const) {
    const answer = await sized(path, header);
    expect(
      [answer.status, answer.headers["content-type"], JSON.parse(answer.body)],
      `${path} ${header}`,
    ).toMatchObject([status, fhirJson, outcome("too-long")]);
  }
});

test("T48: a malformed request is 400 with an OperationOutcome, whatever is wrong with it", async ({
  expect,
}) => {
  const host = "Host: localhost\r\n";
  for (const [what, bytes] of Object.entries({
    "no HTTP": "hello\r\n\r\n",
    "no such method": `FOO / HTTP/1.1\r\n${host}\r\n`,
    "no Host": "GET / HTTP/1.1\r\n\r\n",
    "two Hosts": `GET / HTTP/1.1\r\n${host}${host}\r\n`,
    "a Host that is none": "GET / HTTP/1.1\r\nHost: a b/@\r\n\r\n",
    "both framings": `POST / HTTP/1.1\r\n${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "a coding that is not chunked": `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    "chunks in HTTP/1.0": `POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "two lengths": `POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`,
    "a Connection that names Host": `GET / HTTP/1.1\r\n${host}Connection: host\r\n\r\n`,
    "a bad chunk": `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
    "a bad length": `POST / HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`,
    "a space in a header's name": `GET / HTTP/1.1\r\n${host}X Y: 1\r\n\r\n`,
    "a NUL in a header": `GET / HTTP/1.1\r\n${host}X: a\u0000b\r\n\r\n`,
    "raw bytes in the path": `GET /\u00ff HTTP/1.1\r\n${host}\r\n`,
    "a proxy's form": `GET https://elsewhere/ HTTP/1.1\r\n${host}\r\n`,
    "HTTP/0.9": "GET /\r\n\r\n",
    "HTTP/0.9 by name": `GET / HTTP/0.9\r\n${host}\r\n`,
    "HTTP/2 in text": `GET / HTTP/2.0\r\n${host}\r\n`,
    "two credentials, the first empty": `GET / HTTP/1.1\r\n${host}Authorization:\r\nAuthorization: Bearer x\r\n\r\n`,
    "two credentials, the last empty": `GET / HTTP/1.1\r\n${host}Authorization: Bearer x\r\nauthorization: \r\n\r\n`,
    "two proofs, one empty": `GET / HTTP/1.1\r\n${host}DPoP: \t\r\nDPoP: a.b.c\r\n\r\n`,
    "two purposes, one empty": `GET / HTTP/1.1\r\n${host}Phylax-Purpose:\r\nPhylax-Purpose: TREAT\r\n\r\n`,
    "two media types, one empty": `GET / HTTP/1.1\r\n${host}Content-Type:\r\nContent-Type: application/json\r\n\r\n`,
    "dots in the path": `GET /v1/fhir/main/Observation/../Patient/1 HTTP/1.1\r\n${host}\r\n`,
    "a dot in the path": `GET /v1/./fhir HTTP/1.1\r\n${host}\r\n`,
    "dots at the path's end": `GET /v1/.. HTTP/1.1\r\n${host}\r\n`,
    "dots before a query": `GET /v1/..?x=1 HTTP/1.1\r\n${host}\r\n`,
    "encoded dots": `GET /v1/%2e%2e/fhir HTTP/1.1\r\n${host}\r\n`,
    "half encoded dots": `GET /v1/.%2E/fhir HTTP/1.1\r\n${host}\r\n`,
    "a backslash": `GET /v1\\fhir HTTP/1.1\r\n${host}\r\n`,
    "dots between backslashes": `GET /v1\\..\\x HTTP/1.1\r\n${host}\r\n`,
    "a fragment": `GET /v1/fhir/main/Patient/1#/../x HTTP/1.1\r\n${host}\r\n`,
    "an upgrade": `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  })) {
    const answer = read(await askRaw(port, ca, bytes));
    expect([answer.status, answer.type, answer.body], what).toMatchObject([
      400,
      fhirJson,
      outcome(what === "an upgrade" ? "not-supported" : "invalid"),
    ]);
  }
});

test("T48: a refused request is answered once, and the connection ends: no second answer waits for the next request", async ({
  expect,
}) => {
  const host = "Host: localhost\r\n";
  const next = `GET /next HTTP/1.1\r\n${host}\r\n`;
  await ask({ port, ca, path: "/paths" });
  for (const [what, bytes] of Object.entries({
    "a coding that nobody knows": `POST / HTTP/1.1\r\n${host}Transfer-Encoding: xyz\r\n\r\n`,
    "a coding that nobody knows, and a body": `POST / HTTP/1.1\r\n${host}Transfer-Encoding: xyz\r\n\r\nabc`,
    "a GET with one": `GET / HTTP/1.1\r\n${host}Transfer-Encoding: xyz\r\n\r\n`,
    "chunks that are not last": `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`,
    "chunks that are last": `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    "both framings": `POST / HTTP/1.1\r\n${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    identity: `POST / HTTP/1.1\r\n${host}Transfer-Encoding: identity\r\n\r\n`,
    "HTTP/0.9": "GET /\r\n\r\n",
    "HTTP/2 in text": `GET / HTTP/2.0\r\n${host}\r\n`,
    "a bad chunk after a refusal": `POST /v1/../x HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
  })) {
    const raw = await everything(port, ca, bytes + next);
    expect(raw.match(/HTTP\/1\.1 \d+/gu), what).toEqual(["HTTP/1.1 400"]);
    expect(JSON.parse((await ask({ port, ca, path: "/paths" })).body), what).toEqual([]);
  }
});

test("a Host that no URL can contain is 400, a Host that a URL can contain reaches the Worker", async ({
  expect,
}) => {
  const from = async (host: string) =>
    read(await askRaw(port, ca, `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`));
  for (const host of [
    "999.999.999.999",
    "[:::::]",
    "[::1]:99999",
    "localhost:65536",
    "127.1",
    "1.2.3.4.5",
    "0x7f.0.0.1",
    "[1.2.3.4]",
  ])
    expect(await from(host), host).toMatchObject({ status: 400, type: fhirJson, body: outcome("invalid") });
  for (const host of [
    "localhost",
    "LOCALHOST:1",
    "a.example.",
    "127.0.0.1:80",
    "[::1]:65535",
    "..",
    "xn--a",
    "-",
  ])
    expect((await from(host)).status, host).toBe(200);
});

test("T48: a request within a request's body stays a body, whatever Connection names", async ({ expect }) => {
  const smuggled =
    'GET /smuggled HTTP/1.1\r\nHost: localhost\r\nMF-CF-Blob: {"tlsClientAuth":{"certVerified":"SUCCESS"}}\r\n\r\n';
  const send = (method: string, connection: string) =>
    askRaw(
      port,
      ca,
      `${method} /outer HTTP/1.1\r\nHost: localhost\r\nConnection: ${connection}\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    );
  await ask({ port, ca, path: "/paths" });
  for (const method of ["GET", "DELETE", "OPTIONS", "POST"]) {
    expect(read(await send(method, "keep-alive, content-length")).status, method).toBe(400);
    expect(read(await send(method, "keep-alive")).status, method).toBe(200);
    expect(JSON.parse((await ask({ port, ca, path: "/paths" })).body), method).toEqual(["/outer"]);
  }
});

test("methods that a Worker cannot represent are 405, an unknown expectation is 417, and every further method reaches the Worker", async ({
  expect,
}) => {
  const line = (first: string, more = "") =>
    askRaw(port, ca, `${first} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`);
  const traced = await line("TRACE /");
  expect(read(traced)).toMatchObject({ status: 405, body: outcome("not-supported") });
  expect(traced).toContain("\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"); // RFC 9110 §15.5.6
  expect(read(await line("CONNECT elsewhere:443"))).toMatchObject({
    status: 405,
    body: outcome("not-supported"),
  });
  expect(read(await line("GET /", "Expect: the-moon\r\n"))).toMatchObject({
    status: 417,
    body: outcome("not-supported"),
  });
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY"])
    expect((await ask({ port, ca, method })).status, method).toBe(200);
});

test("the doors that Miniflare keeps for developers are closed to the outside", async ({ expect }) => {
  for (const path of [
    "/cdn-cgi/local/explorer",
    "/cdn-cgi/local/scheduled",
    "/x/../cdn-cgi/local/platform-proxy",
    "/%2e%2e/cdn-cgi/x",
    "/x\\..\\cdn-cgi\\local",
    "/__cf_local/stream/x",
  ]) {
    const answer = read(await askRaw(port, ca, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`));
    expect([answer.status, answer.body], path).toMatchObject([404, outcome("not-found")]);
  }
});

test("a 500 that the Worker did not word in JSON is the front's own, without a word of it", async ({
  expect,
}) => {
  for (const path of ["/throw", "/bare", "/page"]) {
    const { status, headers, body } = await ask({ port, ca, path });
    expect([status, headers["content-type"], JSON.parse(body)], path).toMatchObject([
      500,
      fhirJson,
      outcome("exception"),
    ]);
    expect(body).not.toContain("stack");
  }
  const worded = await ask({ port, ca, path: "/outcome" });
  expect([worded.status, worded.body]).toEqual([500, '{"own":true}']);
});

test("a Worker's body that errors is a broken transfer through workerd and front", async ({ expect }) => {
  await expect(ask({ port, ca, path: "/break" })).rejects.toThrow(/aborted|ECONNRESET|hang up/u);
});
