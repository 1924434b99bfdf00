import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, test } from "vitest";
import type { OriginAnswer } from "#fhir/ports";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { OriginRest } from "#platform/origins/origin-rest";
import { upstream, type OriginAddress } from "#platform/origins/upstream";

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

const traits = {
  transactions: undefined,
  honoursIfMatchOnDelete: false,
  capabilities: {},
  acceptsSearchInUrl: false,
} as const;
const limits = { timeoutMilliseconds: 10_000, concurrent: 8, concurrentPerClient: 4 };
const caller = { client: "c", certificate: undefined };
const origins = (
  hosts: readonly string[] = [host],
  forwardClientCert = false,
  clock = () => instant(1_000),
  headers: OriginAddress["headers"] = [],
) =>
  upstream({
    find: (name) =>
      Promise.resolve(
        name === "main"
          ? {
              base: `http://${host}/fhir`,
              bearer: new Secret("origin-token"),
              forwardClientCert,
              headers,
              limits,
            }
          : undefined,
      ),
    traits: async () => traits,
    wait: async () => undefined,
    chance: () => 0,
    hosts: new Set(hosts),
    clock,
  });
async function textOf(answer: OriginAnswer | undefined): Promise<string> {
  if (answer?.kind !== "answered") return answer?.kind ?? "unknown";
  const parts: Buffer[] = [];
  for await (const chunk of answer.body) {
    if (!chunk.ok) return chunk.error.kind;
    parts.push(Buffer.from(chunk.value));
  }
  return Buffer.concat(parts).toString();
}
const question = { path: "Patient", query: "_id=1" };

test("an origin is asked with its own credential, strictly, and with nothing of the client", async ({
  expect,
}) => {
  answer = (res) => res.end("{}");
  expect(await origins().ask("main", question, caller)).toMatchObject({
    kind: "answered",
    base: `http://${host}/fhir`,
  });
  const { url, headers } = seen.at(-1) ?? {};
  expect(url).toBe("/fhir/Patient?_id=1");
  expect(headers).toMatchObject({
    authorization: "Bearer origin-token",
    accept: "application/fhir+json",
    prefer: "handling=strict",
  });
});

test("the headers of an origin's entry go with each request to it", async ({ expect }) => {
  answer = (res) => res.end("{}");
  const keyed = origins([host], false, undefined, [["x-api-key", new Secret("a-key")]]);
  await keyed.ask("main", question, caller);
  expect(seen.at(-1)?.headers).toMatchObject({ "x-api-key": "a-key", authorization: "Bearer origin-token" });
  await keyed.send("main", { method: "DELETE", path: "Patient/1" }, caller);
  expect(seen.at(-1)?.headers).toMatchObject({ "x-api-key": "a-key" });
});

test("T25: the client's certificate goes with each question to an origin that wants it, and to no further origin", async ({
  expect,
}) => {
  answer = (res) => res.end("{}");
  const asked = async (wants: boolean, clientCert?: string) => {
    await origins([host], wants).ask("main", question, { client: "c", certificate: clientCert });
    return seen.at(-1)?.headers["client-cert"];
  };
  expect(await asked(true, ":AAAA:")).toBe(":AAAA:");
  expect(await asked(false, ":AAAA:")).toBeUndefined();
  expect(await asked(true)).toBeUndefined();
});

test("a posted question goes as a form, and a page's link as the origin wrote it", async ({ expect }) => {
  let form = "";
  answer = (res) => {
    res.req.on("data", (chunk: Buffer) => (form += chunk.toString())).on("end", () => res.end("{}"));
  };
  expect(await textOf(await origins().ask("main", { ...question, posted: true }, caller))).toBe("{}");
  expect(seen.at(-1)).toMatchObject({ method: "POST", url: "/fhir/Patient/_search" });
  expect(seen.at(-1)?.headers["content-type"]).toBe("application/x-www-form-urlencoded");
  expect(form).toBe("_id=1");
  expect(await textOf(await origins().ask("main", { link: "?_getpages=1&x=%2F" }, caller))).toBe("{}");
  expect(seen.at(-1)).toMatchObject({ method: "GET", url: "/fhir?_getpages=1&x=%2F" });
});

test("a body that breaks off says so as its last part, and counts against the origin", async ({ expect }) => {
  const own = origins();
  answer = (res) => {
    res.writeHead(200, { "content-length": "1000" });
    res.write('{"resourceType":');
    setTimeout(() => res.destroy(), 20);
  };
  for (let i = 0; i < 5; i++)
    expect(await textOf(await own.ask("main", question, caller))).toBe("unreachable");
  expect(await own.ask("main", question, caller)).toEqual({
    kind: "circuit_open",
    because: "failing",
    retryAfterSeconds: 5,
  });
});

test("a redirect is not followed", async ({ expect }) => {
  const before = seen.length;
  answer = (res) => res.writeHead(302, { location: `http://${host}/elsewhere` }).end();
  expect(await origins().ask("main", question, caller)).toEqual({ kind: "refused", status: 302 });
  expect(seen.length).toBe(before + 1);
});

test("404 and 410 are both absence; a broken connection is tried once more", async ({ expect }) => {
  for (const status of [404, 410]) {
    answer = (res) => res.writeHead(status).end();
    expect(await origins().ask("main", question, caller)).toEqual({ kind: "absent" });
  }
  const before = seen.length;
  answer = (res) => res.destroy();
  expect(await origins().ask("main", question, caller)).toEqual({ kind: "unreachable" });
  expect(seen.length).toBe(before + 2);
});

test("a host that the deployment does not name is never called, and an unknown origin is no origin", async ({
  expect,
}) => {
  const before = seen.length;
  await expect(origins(["fhir.example"]).ask("main", question, caller)).rejects.toThrow("ORIGIN_HOSTS");
  expect(await origins().ask("other", question, caller)).toBeUndefined();
  expect(seen.length).toBe(before);
});

test("a server that reports itself down is left alone; a server that fails a request of its own is not", async ({
  expect,
}) => {
  const own = origins();
  answer = (res) => res.writeHead(500).end();
  for (let i = 0; i < 6; i++)
    expect(await own.ask("main", question, caller)).toEqual({ kind: "refused", status: 500 });
  answer = (res) => res.writeHead(503).end();
  for (let i = 0; i < 5; i++)
    expect(await own.ask("main", question, caller)).toEqual({
      kind: "refused",
      status: 503,
      retryAfterSeconds: 10,
    });
  expect(await own.ask("main", question, caller)).toEqual({
    kind: "circuit_open",
    because: "failing",
    retryAfterSeconds: 5,
  });
});

test("T39: a token that the origin refuses is replaced once, and without a token the origin is not asked", async ({
  expect,
}) => {
  const [old, renewed] = [new Secret("old"), new Secret("renewed")];
  const asked = async (current: () => Promise<Secret>, anew: () => Promise<Secret>) => {
    const before = seen.length;
    const answer = await upstream({
      find: () =>
        Promise.resolve({
          base: `http://${host}/fhir`,
          bearer: { current, anew },
          forwardClientCert: false,
          headers: [],
          limits,
        }),
      traits: async () => traits,
      wait: async () => undefined,
      chance: () => 0,
      hosts: new Set([host]),
      clock: () => instant(1_000),
    }).ask("main", question, caller);
    return { answer, tokens: seen.slice(before).map(({ headers }) => headers.authorization) };
  };
  const give = (secret: Secret) => () => Promise.resolve(secret);
  answer = (res) =>
    res.writeHead(seen.at(-1)?.headers.authorization === "Bearer renewed" ? 200 : 401).end("{}");
  expect(await asked(give(old), give(renewed))).toMatchObject({
    answer: { kind: "answered" },
    tokens: ["Bearer old", "Bearer renewed"],
  });
  expect(await asked(give(renewed), give(old))).toMatchObject({
    answer: { kind: "answered" },
    tokens: ["Bearer renewed"],
  });
  expect(await asked(give(old), give(old))).toMatchObject({
    answer: { kind: "refused", status: 401 },
    tokens: ["Bearer old"],
  });
  const down = () => Promise.reject(new Error("no token"));
  expect(await asked(give(old), down)).toMatchObject({
    answer: { kind: "refused", status: 401 },
    tokens: ["Bearer old"],
  });
  expect(await asked(down, down)).toEqual({ answer: { kind: "unreachable" }, tokens: [] });
});

test("a write goes once, with the origin's credential and the judged version, and returns the origin's answer", async ({
  expect,
}) => {
  answer = (res) => res.writeHead(201, { location: "Observation/1/_history/1", etag: "its own" }).end("{}");
  const written = await origins().send(
    "main",
    {
      method: "PUT",
      path: "Observation/1",
      body: "{}",
      version: "7",
    },
    caller,
  );
  expect(written).toMatchObject({
    kind: "written",
    location: "Observation/1/_history/1",
    base: `http://${host}/fhir`,
  });
  const { method, url, headers } = seen.at(-1) ?? {};
  expect({ method, url }).toEqual({ method: "PUT", url: "/fhir/Observation/1" });
  expect(headers).toMatchObject({
    authorization: "Bearer origin-token",
    "content-type": "application/fhir+json",
    "if-match": 'W/"7"',
  });
  answer = (res) => res.writeHead(204).end();
  expect(await origins().send("main", { method: "DELETE", path: "Observation/1" }, caller)).toMatchObject({
    kind: "written",
  });
  expect(seen.at(-1)?.headers).not.toHaveProperty("if-match");
});

test("P10: a write is never sent twice, whatever becomes of it", async ({ expect }) => {
  const write = { method: "POST", path: "Observation", body: "{}" } as const;
  for (const [outcome, kind] of [
    [(res: ServerResponse) => res.destroy(), "unreachable"],
    [(res: ServerResponse) => res.writeHead(503).end(), "refused"],
    [(res: ServerResponse) => res.writeHead(412).end(), "refused"],
    [(res: ServerResponse) => res.writeHead(410).end(), "absent"],
    [(res: ServerResponse) => res.writeHead(307, { location: "/elsewhere" }).end(), "refused"],
  ] as const) {
    answer = outcome;
    const from = seen.length;
    expect(await origins().send("main", write, caller)).toMatchObject({ kind });
    expect(seen.length - from, kind).toBe(1);
  }
  expect(await origins().send("nowhere", write, caller)).toBeUndefined();
  await expect(origins(["other.example"]).send("main", write, caller)).rejects.toThrow("ORIGIN_HOSTS");
});

test("T39: a write that meets 401 is sent once more with a new token, and with no further token; without a new token it is sent once", async ({
  expect,
}) => {
  const [old, renewed, third] = [new Secret("old"), new Secret("renewed"), new Secret("third")];
  const sent = async (method: "POST" | "PUT" | "DELETE", anew: () => Promise<Secret>, good?: string) => {
    const from = seen.length;
    answer = (res) => res.writeHead(res.req.headers.authorization === `Bearer ${good}` ? 201 : 401).end("{}");
    const written = await upstream({
      find: async () => ({
        base: `http://${host}/fhir`,
        bearer: { current: async () => old, anew },
        forwardClientCert: false,
        headers: [],
        limits,
      }),
      traits: async () => traits,
      wait: async () => undefined,
      chance: () => 0,
      hosts: new Set([host]),
      clock: () => instant(1_000),
    }).send("main", { method, path: "Observation", ...(method !== "DELETE" && { body: "{}" }) }, caller);
    return [
      written?.kind === "refused" ? written.status : written?.kind,
      seen.slice(from).map(({ headers, method: how }) => `${how} ${headers.authorization}`),
    ];
  };
  for (const method of ["POST", "PUT", "DELETE"] as const) {
    const [first, second] = [`${method} Bearer old`, `${method} Bearer renewed`];
    const tokens = [renewed, third];
    const next = async () => tokens.shift() ?? third;
    expect(await sent(method, next, "renewed")).toEqual(["written", [first, second]]);
    expect(await sent(method, async () => renewed, "third")).toEqual([401, [first, second]]);
    expect(await sent(method, async () => old)).toEqual([401, [first]]);
    expect(await sent(method, () => Promise.reject(new Error("no token")))).toEqual([401, [first]]);
  }
});

test("a path that a URL parser would fold or cut is never sent: the origin would get a path that was not judged", async ({
  expect,
}) => {
  answer = (res) => res.end("{}");
  for (const path of [
    "Patient/..",
    "Patient/.",
    "..",
    "Patient/../Practitioner/1",
    "Patient/%2e%2e",
    "Patient/a\\..\\b",
    "Patient/1?x",
    "Patient/1#x",
    "Patient//1",
    "/Patient/1",
  ]) {
    const before = seen.length;
    await expect(origins().ask("main", { path, query: "" }, caller), path).rejects.toThrow("not plain");
    await expect(origins().ask("main", { path, query: "", posted: true }, caller), path).rejects.toThrow(
      "not plain",
    );
    await expect(origins().send("main", { method: "DELETE", path }, caller), path).rejects.toThrow(
      "not plain",
    );
    expect(seen.length, path).toBe(before);
  }
  for (const path of ["Patient/a.b-C..d", "Patient/1/_history/2", "Patient/1/$everything"])
    expect((await origins().ask("main", { path, query: "" }, caller))?.kind, path).toBe("answered");
});

test("one client's hanging questions use up its own part: it is told to wait, further clients are answered, and nothing rests for them", async ({
  expect,
}) => {
  const own = origins();
  const hanging: ServerResponse[] = [];
  answer = (res) => void (res.req.url?.includes("hang") ? hanging.push(res) : res.end("{}"));
  const asked = (query: string, client: string) =>
    own.ask("main", { path: "Patient", query }, { client, certificate: undefined });
  const waiting = Array.from({ length: 10 }, () => asked("hang=1", "slow"));
  const refused = await Promise.all(waiting.slice(limits.concurrentPerClient));
  expect(new Set(refused.map((one) => JSON.stringify(one)))).toEqual(
    new Set([JSON.stringify({ kind: "circuit_open", because: "client_busy", retryAfterSeconds: 1 })]),
  );
  while (hanging.length < limits.concurrentPerClient) await new Promise((resolve) => setTimeout(resolve, 5));
  for (let i = 0; i < 5; i++) expect(await textOf(await asked("_id=1", "quick"))).toBe("{}");
  const begun = hanging.length;
  answer = (res) => void (res.req.url?.includes("hang") ? hanging.push(res.destroy()) : res.end("{}"));
  for (const res of hanging.slice()) res.destroy();
  const ended = await Promise.all(waiting.slice(0, limits.concurrentPerClient));
  expect(ended.every((one) => one?.kind === "unreachable" || one?.kind === "circuit_open")).toBe(true);
  expect(hanging.length, "a failing question is repeated at most once").toBeLessThanOrEqual(2 * begun);
  expect(await textOf(await asked("_id=1", "quick"))).toBe("{}");
  expect(await textOf(await asked("_id=1", "slow"))).toBe("{}");
});

test("an answer that is not read to its end, and a question that an origin refuses, free their slots", async ({
  expect,
}) => {
  const own = origins();
  answer = (res) => res.end("{}");
  for (let i = 0; i < 2 * limits.concurrent; i++) {
    const answered = await own.ask("main", question, caller);
    if (answered?.kind !== "answered") throw new Error(`${answered?.kind}`);
    for await (const _piece of answered.body) break; // the reader hangs up
  }
  answer = (res) => res.writeHead(404).end();
  for (let i = 0; i < 2 * limits.concurrent; i++)
    expect(await own.ask("main", question, caller)).toEqual({ kind: "absent" });
});

test("an origin that says when to ask again is left alone for that time, for a minute at most: by the client that was told, and by all when a second client was told", async ({
  expect,
}) => {
  let now = 1_000;
  const own = origins([host], false, () => instant(now));
  const asked = async (client: string) => {
    const before = seen.length;
    const got = await own.ask("main", question, { client, certificate: undefined });
    return [
      got?.kind === "circuit_open" ? `${got.because} ${got.retryAfterSeconds}` : got?.kind,
      seen.length - before,
    ];
  };
  const saying = (status: number, headers: Record<string, string> = {}) => {
    answer = (res) => res.writeHead(status, headers).end();
  };
  saying(429, { "retry-after": "7" });
  expect(await asked("a")).toEqual(["refused", 1]);
  answer = (res) => res.end("{}");
  expect(await asked("a")).toEqual(["origin_throttled 7", 0]);
  const writing = { method: "DELETE" as const, path: "Patient/1" };
  const before = seen.length;
  expect(await own.send("main", writing, { client: "a", certificate: undefined })).toMatchObject({
    kind: "circuit_open",
    because: "origin_throttled",
  });
  expect(seen.length, "no write is sent").toBe(before);
  expect(await asked("b"), "another client was not told").toEqual(["answered", 1]);
  now += 6_500;
  expect(await asked("a")).toEqual(["origin_throttled 1", 0]);
  saying(503, { "retry-after": new Date(Date.now() + 30_000).toUTCString() });
  expect(await asked("b"), "a is told still").toEqual(["refused", 1]);
  expect((await asked("c"))[1], "two clients were told").toBe(0);
  expect(await asked("c")).toEqual([expect.stringMatching(/^failing (?:29|30)$/u), 0]);
  now += 30_000;
  saying(429);
  expect(await asked("a"), "no time is said").toEqual(["refused", 1]);
  expect(await asked("a")).toEqual(["refused", 1]);
  saying(429, { "retry-after": "3600" });
  expect(await own.ask("main", question, { client: "d", certificate: undefined })).toEqual({
    kind: "refused",
    status: 429,
    retryAfterSeconds: 300,
  });
  now += 59_000;
  expect(await asked("d")).toEqual(["origin_throttled 1", 0]);
  answer = (res) => res.end("{}");
  now += 1_000;
  expect(await asked("d")).toEqual(["answered", 1]);
});

test("two clients that are told keep no further client out: each five seconds a trial passes, and its answer ends the rest of all", async ({
  expect,
}) => {
  let now = 1_000;
  const own = origins([host], false, () => instant(now));
  const asked = async (client: string) => {
    const before = seen.length;
    await own.ask("main", question, { client, certificate: undefined });
    return seen.length - before;
  };
  const says = (isThrottled: boolean) => {
    answer = (res) =>
      isThrottled ? res.writeHead(429, { "retry-after": "60" }).end() : res.writeHead(404).end();
  };
  says(true);
  expect([await asked("a"), await asked("b"), await asked("c")]).toEqual([1, 1, 0]);
  now += 5_000;
  expect([await asked("a"), await asked("c"), await asked("d")], "the trial of c is told too").toEqual([
    0, 1, 0,
  ]);
  now += 4_999;
  expect(await asked("d")).toBe(0);
  now += 1;
  says(false);
  expect([await asked("d"), await asked("e"), await asked("e")]).toEqual([1, 1, 1]);
  expect([await asked("a"), await asked("b"), await asked("c")], "the told clients wait").toEqual([0, 0, 0]);
  now += 60_000;
  expect([await asked("a"), await asked("b"), await asked("c")]).toEqual([1, 1, 1]);
});

test("a client waits for the later of its own rest and the rest of all clients", async ({ expect }) => {
  const rest = new OriginRest();
  const [first, second] = [instant(1_000), instant(2_000)];
  rest.noteRetryAfter("a", "origin_throttled", 60, first);
  rest.noteRetryAfter("b", "failing", 5, second);
  expect(rest.of("a", second)).toEqual({ because: "origin_throttled", retryAfterSeconds: 59 });
  expect(rest.of("b", second)).toEqual({ because: "failing", retryAfterSeconds: 5 });
  expect(rest.of("c", second)).toEqual({ because: "failing", retryAfterSeconds: 5 });
  expect(rest.of("c", instant(7_000))).toBeUndefined();
  const third = instant(8_000);
  rest.noteRetryAfter("b", "failing", 60, third);
  expect(rest.of("a", third), "the rest of all ends later").toEqual({
    because: "failing",
    retryAfterSeconds: 60,
  });
});

test("a question waits as long as the origin's entry says", async ({ expect }) => {
  answer = () => undefined;
  const impatient = upstream({
    find: async () => ({
      base: `http://${host}/fhir`,
      bearer: undefined,
      forwardClientCert: false,
      headers: [],
      limits: { ...limits, timeoutMilliseconds: 50 },
    }),
    traits: async () => traits,
    wait: async () => undefined,
    chance: () => 0,
    hosts: new Set([host]),
    clock: () => instant(1_000),
  });
  expect(await impatient.ask("main", question, caller)).toEqual({ kind: "timed_out" });
});
