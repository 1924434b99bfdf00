import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, test } from "vitest";
import type { Reply, Sending } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import {
  askAs,
  issuerEntry,
  joined,
  outsideClient,
  outsider,
  outsideToken,
  starterPolicy,
} from "../support/outside.ts";
import { workDone } from "../support/in-process/cloudflare-workers.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { requestOf } from "../support/in-process/mutual-tls.ts";
import { breakLedger } from "../support/shards.ts";
import { handlerOf } from "../support/in-process/memory-handler.ts";
import { must } from "../support/must.ts";

/*
 * A collector on a socket gets each request's trace: the stages, the calls, their times, and ids of ours alone.
 */

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue: string } }[];
  readonly status: { readonly code?: number };
}

const bodies: string[] = [];
const met: string[] = [];
let respond: (response: ServerResponse) => void;
const taken = (response: ServerResponse) => void response.end("{}");
const collector = createServer((request, response) => {
  met.push(`${request.method} ${request.url}`);
  let body = "";
  request.on("data", (chunk) => (body += String(chunk)));
  request.on("end", () => {
    bodies.push(body);
    respond(response);
  });
});
const originDelay = 60;
const sentOn: (string | null)[] = [];
const issuer = await outsider("https://issuer.outside.example", "phylax");
const stranger = await outsider(issuer.iss, "phylax");
let door: Door;
let certificate: CertificateFiles;

beforeAll(async () => {
  await new Promise<void>((listening) => collector.listen(0, "127.0.0.1", listening));
  const { port } = collector.address() as AddressInfo; // a listening TCP server has a port
  door = await startDoor({
    gateway: { TRACES: `http://127.0.0.1:${port}/v1/traces 1` },
    answer: async (request) => {
      sentOn.push(request.headers.get("traceparent"));
      await setTimeout(originDelay);
      return handlerOf(door.origin)(request);
    },
  });
  const app = await outsideClient(door, issuer, "app", {
    purpose: "TREAT",
    policy: "treat",
    scopes: "system/*.rs",
  });
  ({ certificate } = app);
  await door.applyRegistry(
    joined(
      {
        policies: [starterPolicy("treat")],
        issuers: [issuerEntry(issuer, { purpose: { fixed: ["TREAT"] } })],
      },
      app.entries,
    ),
  );
}, 120_000);
afterAll(async () => {
  await door.close();
  collector.closeAllConnections();
  collector.close();
});
afterEach(() => {
  respond = taken;
});
respond = taken;

/** The spans of the traces that end while a function runs. */
async function tracesOf(act: () => Promise<unknown>): Promise<readonly (readonly OtlpSpan[])[]> {
  await workDone();
  bodies.length = 0;
  await act();
  await workDone();
  return bodies.map((body) => spansIn(body));
}
const spansIn = (body: string): readonly OtlpSpan[] =>
  (JSON.parse(body) as { resourceSpans: [{ scopeSpans: [{ spans: OtlpSpan[] }] }] }).resourceSpans[0]
    .scopeSpans[0].spans;
const rootOf = (spans: readonly OtlpSpan[] = []) => must(spans.find(({ name }) => name === "request"));
const attributesOf = ({ attributes }: OtlpSpan) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key.replace(/^phylax\./u, ""), value.stringValue]));
const times = ({ startTimeUnixNano: from, endTimeUnixNano: to }: OtlpSpan) =>
  [BigInt(from) / 1_000_000n, BigInt(to) / 1_000_000n].map(Number) as [number, number];

test("the spans of a read stand in its request, its stages one after the other, and its calls in the stages that wait for them", async ({
  expect,
}) => {
  const before = Date.now();
  let reply: Reply | undefined;
  const traces = await tracesOf(async () => {
    reply = await door.ask("telehealth", "Patient/amara-okafor");
  });
  expect(reply?.status).toBe(200);
  const spans = must(traces[0]);
  expect(traces).toHaveLength(1);
  const root = rootOf(spans);
  expect(attributesOf(root)).toEqual({
    request: reply?.headers["x-request-id"],
    client: "telehealth",
    origin: "main",
    interaction: "read",
    outcome: "shown",
  });
  const stages = spans.filter(({ parentSpanId }) => parentSpanId === root.spanId);
  expect(stages.map(({ name }) => name)).toEqual([
    "authenticate",
    "lease",
    "thread",
    "review",
    "interpret",
    "authorize",
    "answer",
    "release",
  ]);
  for (const [at, stage] of stages.entries()) {
    const next = stages[at + 1];
    expect(times(stage)[1], stage.name).toBe(times(next ?? root)[next === undefined ? 1 : 0]);
  }
  const stageOf = (name: string) =>
    spans.flatMap((span) =>
      span.name === name ? [stages.find(({ spanId }) => spanId === span.parentSpanId)?.name] : [],
    );
  expect(new Set(stageOf("origin"))).toEqual(new Set(["answer"]));
  expect(stageOf("append")).toEqual(["release"]);
  expect(spans).toHaveLength(1 + stages.length + stageOf("origin").length + 1);
  for (const span of spans) {
    const parent = spans.find(({ spanId }) => spanId === span.parentSpanId) ?? root;
    expect(times(span)[0], span.name).toBeGreaterThanOrEqual(times(parent)[0]);
    expect(times(span)[1], span.name).toBeLessThanOrEqual(times(parent)[1]);
    expect(times(span)[1], span.name).toBeGreaterThanOrEqual(times(span)[0]);
  }
  const origin = must(spans.find(({ name }) => name === "origin"));
  expect(times(origin)[1] - times(origin)[0]).toBeGreaterThanOrEqual(originDelay - 2);
  expect(attributesOf(origin)).toEqual({ outcome: "answered" });
  expect(times(root)[0]).toBeGreaterThanOrEqual(before);
  expect(times(root)[1]).toBeLessThanOrEqual(Date.now());
  expect([root.kind, origin.kind, must(stages[0]).kind]).toEqual([2, 3, 1]);
});

test("the ids of a trace are random: equal requests of one person share none, and no id is the request's", async ({
  expect,
}) => {
  const replies: Reply[] = [];
  const traces = await tracesOf(async () => {
    for (let n = 0; n < 20; n += 1) replies.push(await door.ask("telehealth", "Patient/amara-okafor"));
  });
  const ids = traces.flatMap((spans) => [rootOf(spans).traceId, ...spans.map(({ spanId }) => spanId)]);
  expect(traces).toHaveLength(20);
  expect(new Set(ids).size).toBe(ids.length);
  for (const spans of traces) {
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
    for (const { traceId, spanId } of spans) {
      expect(traceId).toMatch(/^[\da-f]{32}$/u);
      expect(spanId).toMatch(/^[\da-f]{16}$/u);
    }
  }
  const requests = replies.map(({ headers }) => String(headers["x-request-id"]));
  expect(ids.filter((id) => requests.some((request) => request.includes(id)))).toEqual([]);
});

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const parentId = "00f067aa0ba902b7";
const good = `00-${traceId}-${parentId}-01`;

test("the trace of a proven caller goes on, and a refused stranger's does not", async ({ expect }) => {
  const ask = (headers: object) => () =>
    door.ask("telehealth", "Patient/amara-okafor", { headers: { ...headers } });
  const [known] = await tracesOf(ask({ traceparent: good }));
  expect(rootOf(known)).toMatchObject({ traceId, parentSpanId: parentId });
  const token = await outsideToken(stranger, certificate, { client_id: "app", scope: "system/*.rs" });
  let reply: Reply | undefined;
  const [unknown] = await tracesOf(async () => {
    reply = await door.within(() =>
      askAs(door, undefined, token, "Patient/amara-okafor", { headers: { traceparent: good } }),
    );
  });
  expect(reply?.status).toBe(401);
  expect(attributesOf(rootOf(unknown))).toEqual({
    request: reply?.headers["x-request-id"],
    outcome: "refused",
    code: "login",
  });
  expect(JSON.stringify(unknown)).not.toContain(traceId);
  expect(rootOf(unknown).parentSpanId).toBeUndefined();
});

test.for([
  ["a version that is not 00", `01-${traceId}-${parentId}-01`],
  ["capitals", good.toUpperCase()],
  ["more members", `${good}-jane`],
  ["a short id", `00-${traceId.slice(1)}-${parentId}-01`],
  ["a trace id of zeros", `00-${"0".repeat(32)}-${parentId}-01`],
  ["a parent of zeros", `00-${traceId}-${"0".repeat(16)}-01`],
  ["two values", `${good}, ${good}`],
  ["a text", "jane.doe@example.org"],
] as const)(
  "a traceparent with %s is ignored, and comes back nowhere",
  async ([, traceparent], { expect }) => {
    let reply: Reply | undefined;
    const [spans] = await tracesOf(async () => {
      reply = await door.ask("telehealth", "Patient/amara-okafor", { headers: { traceparent } });
    });
    expect(reply?.status).toBe(200);
    expect(rootOf(spans).parentSpanId).toBeUndefined();
    expect(JSON.stringify(spans)).not.toContain(traceId);
    expect(JSON.stringify(reply)).not.toContain(traceparent);
  },
);

const hex = (text: string) => Buffer.from(text).toString("hex");

test.for([
  ["a number in digits", `00-${"123456789".padStart(32, "0")}-${parentId}-01`],
  ["a text in ASCII", `00-${hex("Jane Doe 1980-01")}-${parentId}-01`],
  ["a short text in ASCII", `00-${hex("Jane Doe").padStart(32, "0")}-${parentId}-01`],
] as const)("a trace id that spells %s reaches no collector", async ([, traceparent], { expect }) => {
  const [spans] = await tracesOf(() =>
    door.ask("telehealth", "Patient/amara-okafor", { headers: { traceparent } }),
  );
  expect(JSON.stringify(spans)).not.toContain(traceparent.slice(3, 35));
  expect(rootOf(spans).parentSpanId).toBeUndefined();
});

test("a parent id that spells a text is left out, and the trace goes on", async ({ expect }) => {
  const traceparent = `00-${traceId}-${hex("Jane Doe")}-01`;
  const [spans] = await tracesOf(() =>
    door.ask("telehealth", "Patient/amara-okafor", { headers: { traceparent } }),
  );
  expect(rootOf(spans).traceId).toBe(traceId);
  expect(rootOf(spans).parentSpanId).toBeUndefined();
});

/** An example of each identifier of 45 CFR 164.514(b)(2)(i), from (A) to (R). */
const canaries = {
  A: "Wilhelmina-Canary",
  B: "17-Canary-Lane-80331",
  C: "1931-07-04",
  D: "555-867-5309",
  E: "555-867-5310",
  F: "w.canary@example.org",
  G: "078-05-1120",
  H: "MRN-7710023",
  I: "PLAN-88123",
  J: "ACCT-55671",
  K: "LIC-D9912",
  L: "PLATE-4XCN021",
  M: "SN-PACER-331",
  N: "https://canary.example.org/wilhelmina",
  O: "203.0.113.77",
  P: "FINGER-PRINT-5A",
  Q: "photo-of-wilhelmina.jpg",
  R: "CODE-OTHER-991",
} as const;

test("an identifier of each kind, in every input, is in no span", async ({ expect }) => {
  const replies: Reply[] = [];
  const traces = await tracesOf(async () => {
    for (const canary of Object.values(canaries)) {
      const query = encodeURIComponent(canary);
      const name = canary.replaceAll(/[^\w.-]/gu, "-");
      const headers = {
        "user-agent": canary,
        "x-canary": canary,
        "x-request-id": canary,
        "x-forwarded-for": canary,
        tracestate: `canary=${query}`,
        baggage: `person=${query}`,
        "phylax-justification": canary,
        traceparent: `00-${hex(canary).padEnd(32, "0").slice(0, 32)}-${hex(canary).slice(0, 16)}-01`,
      };
      const token = await outsideToken(issuer, certificate, {
        client_id: "app",
        scope: "system/*.rs",
        sub: canary,
        fhirUser: `Practitioner/${name}`,
        name: canary,
        email: canary,
        jti: `${canary}-${replies.length}`,
      });
      const asked: readonly [path: string, sending?: Sending][] = [
        [`Patient/${name}`],
        [`Patient?family=${query}&_count=5`],
        [`Patient?${query}=1`],
        [`Patient?identifier=${query}`],
        [`${name}/${name}`],
        [`${door.dev.gateway}/v1/fhir/${name.toLowerCase()}/Patient/1`],
        [`Patient/amara-okafor/$${name}`],
        [
          "Patient/_search",
          {
            method: "POST",
            body: `family=${query}`,
            headers: { "content-type": "application/x-www-form-urlencoded" },
          },
        ],
        [`Patient/${name}`, { headers: { authorization: `Bearer ${name}` } }],
      ];
      const body = JSON.stringify({
        resourceType: "Observation",
        status: "final",
        code: { text: canary },
        subject: { reference: "Patient/amara-okafor", display: canary },
        valueString: canary,
      });
      const json = { ...headers, "content-type": "application/fhir+json" };
      const answers = [
        ...asked.map(([path, sending]) =>
          door.within(() =>
            askAs(door, certificate, token, path, {
              ...sending,
              headers: { ...headers, ...sending?.headers },
            }),
          ),
        ),
        door.ask("charting", "Observation", { method: "POST", body, headers: json }),
      ];
      replies.push(...(await Promise.all(answers)));
    }
  });
  // The canaries did reach each stage: an answer, a write, refusals before and after the caller is known.
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200, 201, 400, 401, 403, 404]));
  expect(traces).toHaveLength(replies.length);
  const sent = bodies.join("\n");
  for (const [kind, canary] of Object.entries(canaries))
    for (const form of [canary, encodeURIComponent(canary), hex(canary).slice(0, 16), btoa(canary)])
      expect(sent.toLowerCase().includes(form.toLowerCase()), `${kind} ${form}`).toBe(false);
  // Whatever the input, an attribute is an id of ours or a word of a list.
  const requests = new Set(replies.map(({ headers }) => headers["x-request-id"]));
  const word = /^[a-z]+(?:-[a-z]+)*$/iu;
  for (const span of traces.flat())
    for (const [key, text] of Object.entries(attributesOf(span)))
      switch (key) {
        case "request":
          expect(requests.has(text), text).toBe(true);
          break;
        case "client":
          expect(["app", "charting"]).toContain(text);
          break;
        case "origin":
          expect(text).toBe("main");
          break;
        default:
          expect(["interaction", "outcome", "code"]).toContain(key);
          expect(text).toMatch(word);
      }
}, 60_000);

test("an origin gets the span of its call only when its entry says so", async ({ expect }) => {
  const { cert } = door.client("telehealth");
  const headers = {
    authorization: `Bearer ${await door.token("telehealth")}`,
    traceparent: good,
    tracestate: "canary=jane",
  };
  const ask = (isolate: Door["fetch"]) => async () => {
    sentOn.length = 0;
    const url = `${door.dev.fhir}/Patient/amara-okafor`;
    const request = requestOf(door.dev.clientCa.cert, cert, url, { headers });
    const { status } = await isolate(request);
    expect(status).toBe(200);
  };
  await tracesOf(ask(await door.elsewhere()));
  expect(sentOn).toEqual([null]);
  const entry = (given: object) => ({
    origins: [{ name: "main", url: door.dev.origin, credentials: { kind: "none" }, headers: given }],
  });
  await door.applyRegistry(entry({ traceparent: { from: "trace" } }));
  const [spans = []] = await tracesOf(ask(await door.elsewhere()));
  const called = spans.filter(({ name }) => name === "origin");
  expect(sentOn).toEqual(called.map(({ spanId }) => `00-${traceId}-${spanId}-01`));
  expect(called).toHaveLength(1);
  // A sample without the request: the caller's header goes nowhere.
  await tracesOf(ask(await door.elsewhere({ TRACES: "" })));
  expect(sentOn).toEqual([null]);
  for (const wrong of [{ traceparent: { value: "jane" } }, { "x-span": { from: "trace" } }])
    await expect(door.applyRegistry(entry(wrong))).rejects.toThrow("/origins/0/headers");
});

const troubles: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ["hangs", () => {}],
  ["answers 500", (response) => void response.writeHead(500).end("no")],
  ["redirects", (response) => void response.writeHead(307, { location: "/elsewhere" }).end()],
  ["breaks off", (response) => void response.socket?.destroy()],
  ["answers without an end", (response) => void response.writeHead(200).write("{")],
];

test.for(troubles)(
  "a collector that %s costs no request, and is asked once for each",
  async ([name, trouble], { expect }) => {
    await workDone();
    met.length = 0;
    respond = trouble;
    const began = Date.now();
    const replies = await Promise.all(
      Array.from({ length: 60 }, () => door.ask("telehealth", "Patient/amara-okafor")),
    );
    const milliseconds = Date.now() - began;
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    // The gateway waits two seconds for a collector.
    expect(milliseconds).toBeLessThan(1_900);
    await workDone();
    expect(new Set(met)).toEqual(new Set(["POST /v1/traces"]));
    // More sends at once would fill the isolate.
    expect(met.length).toBeLessThanOrEqual(name === "hangs" ? 32 : 60);
    respond = taken;
    const [after] = await tracesOf(() => door.ask("telehealth", "Patient/amara-okafor"));
    expect(rootOf(after).name).toBe("request");
  },
);

test("a request that the ledger cannot record ends its trace as a fault, and without TRACES nothing is sent", async ({
  expect,
}) => {
  door.inEachShard(breakLedger);
  const [spans = []] = await tracesOf(async () => {
    const { status } = await door.ask("telehealth", "Patient/amara-okafor");
    expect(status).toBe(503);
  });
  const faulty = spans.filter(({ status }) => status.code === 2).map(({ name }) => name);
  expect(new Set(faulty)).toEqual(new Set(["request", "append"]));
  door.inEachShard("DROP TRIGGER broken");
  const elsewhere = await door.elsewhere({ TRACES: "" });
  const asked = async () => {
    await elsewhere(new Request(`${door.dev.fhir}/Patient/amara-okafor`));
  };
  expect(await tracesOf(asked)).toEqual([]);
});
