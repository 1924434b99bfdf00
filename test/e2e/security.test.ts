import { randomUUID } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as fc from "fast-check";
import { decodeJwt } from "jose";
import { afterAll, beforeAll, test } from "vitest";
import { clientAssertion } from "../../cli/connection/access-token.ts";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import {
  ensureAuthority,
  ensureServerCertificate,
  issueClientCertificate,
} from "../../sandbox/certificates.ts";
import { openLedger } from "../support/auditor.ts";
import { keyHolder, proofFor } from "../support/key-holder.ts";
import { LogWatch } from "../support/log-watch.ts";
import { mangled } from "../support/mangled.ts";
import { breakLedger, inEachShard } from "../support/shards.ts";
import { sharedTestStack, startTestStack, type TestStack } from "../support/stack.ts";
import { inLane, lane } from "../support/lane.ts";

let phylax: TestStack;
let token: string;
let url: string;
beforeAll(async () => {
  phylax = await sharedTestStack();
  token = await phylax.token("telehealth");
  url = `${phylax.dev.fhir}/Patient/amara-okafor`;
}, 120_000);
afterAll(() => phylax.close());

const telehealth = () => phylax.client("telehealth");
async function reasonOf(requestId: unknown): Promise<string | undefined> {
  return (await openLedger(phylax.dev)).find(({ event }) => event.id === requestId)?.event.outcome?.reason;
}

test("T3: a token is taken from Authorization alone: in the URL it is 400, in a posted form it counts for nothing", async ({
  expect,
}) => {
  expect((await send(phylax.dev, telehealth(), `${url}?access_token=${token}`)).status).toBe(400);
  const posted = await send(phylax.dev, telehealth(), `${phylax.dev.fhir}/Patient/_search`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: `_id=amara-okafor&access_token=${token}`,
  });
  expect(posted.status).toBe(401);
  expect(await reasonOf(posted.headers["x-request-id"])).toBe("token_missing");
});

test("T4: two Authorization headers are no credential, even if each would be good", async ({ expect }) => {
  const reply = await send(phylax.dev, telehealth(), url, {
    headers: { authorization: [`Bearer ${token}`, `Bearer ${token}`] },
  });
  expect(reply.status).toBeGreaterThanOrEqual(400);
  expect(reply.status).toBeLessThan(500);
  expect(reply.text).not.toContain("Okafor");
});

test("T19: a too narrow scope is 403 with the scope that would be enough", async ({ expect }) => {
  const narrow = await phylax.token("telehealth", { scope: "system/Patient.r" });
  const reply = await send(phylax.dev, telehealth(), `${phylax.dev.fhir}/Observation?patient=amara-okafor`, {
    headers: { authorization: `Bearer ${narrow}` },
  });
  expect(reply.status).toBe(403);
  expect(reply.headers["www-authenticate"]).toBe(
    'Bearer error="insufficient_scope", scope="system/Observation.s"',
  );
});

test("T21: a token under a different good certificate, or under none, is 401 invalid_token", async ({
  expect,
}) => {
  for (const identity of [phylax.client("payer"), undefined]) {
    const reply = await send(phylax.dev, identity, url, { headers: { authorization: `Bearer ${token}` } });
    expect(reply.status).toBe(401);
    expect(reply.headers["www-authenticate"]).toContain('error="invalid_token"');
  }
});

test("T22: an expired certificate, and a certificate of a foreign authority, are 401 though the caller shows them", async ({
  expect,
}) => {
  const pki = dirname(phylax.dev.clientCa.cert);
  const ended = await issueClientCertificate(pki, "ended", "CN=telehealth", {
    notBefore: new Date("2024-01-01"),
    notAfter: new Date("2025-01-01"),
  });
  const foreign = await ensureServerCertificate(pki);
  for (const identity of [ended, foreign]) {
    const reply = await send(phylax.dev, identity, url, { headers: { authorization: `Bearer ${token}` } });
    expect(reply.status).toBe(401);
    expect(await reasonOf(reply.headers["x-request-id"])).toBe("certificate_unverified");
  }
});

test("T22, T23: a certificate that the edge reports as revoked, unverified or too large is 401, though it is the token's own", async ({
  expect,
}) => {
  const der = readFileSync(telehealth().cert, "utf8").replaceAll(/-----[^-]+-----|\s/gu, "");
  const good = {
    certPresented: "1",
    certVerified: "SUCCESS",
    certRevoked: "0",
    certRFC9440: `:${der}:`,
    certRFC9440TooLarge: false,
  };
  // Behind the front, at the point where the edge's facts arrive: no software on this machine revokes
  // certificates.
  const { host, port } = phylax.stack.runtime.gateway;
  const behind = url.replace(phylax.dev.gateway, `http://${host}:${port}`);
  const ask = async (change: object) => {
    const headers = {
      authorization: `Bearer ${token}`,
      "mf-cf-blob": JSON.stringify({ tlsClientAuth: { ...good, ...change } }),
    };
    return fetch(behind, { headers });
  };
  expect((await ask({})).status).toBe(200);
  for (const [reason, change] of [
    ["certificate_revoked", { certRevoked: "1" }],
    ["certificate_revoked", { certRevoked: "" }],
    ["certificate_unverified", { certVerified: "FAILED:unable to get local issuer certificate" }],
    [
      "certificate_unverified",
      { certVerified: "FAILED:self signed certificate", certNotBefore: "", certNotAfter: "" },
    ],
    ["certificate_too_large", { certRFC9440: "", certRFC9440TooLarge: true }],
    ["certificate_missing", { certPresented: "0", certVerified: "NONE", certRFC9440: "" }],
  ] as const) {
    const reply = await ask(change);
    expect(reply.status, JSON.stringify(change)).toBe(401);
    expect(await reply.text()).not.toContain("Okafor");
    expect(await reasonOf(reply.headers.get("x-request-id")), JSON.stringify(change)).toBe(reason);
  }
});

test("T24: no header makes a certificate: a proxy's header about a certificate is dropped, whichever caller sends it", async ({
  expect,
}) => {
  const der = readFileSync(telehealth().cert, "utf8").replaceAll(/-----[^-]+-----|\s/gu, "");
  const forged = {
    "client-cert": `:${der}:`,
    "cf-client-cert-der-base64": der,
    "x-forwarded-client-cert": der,
    "cf-client-cert-verified": "SUCCESS",
    "mf-cf-blob": JSON.stringify({
      tlsClientAuth: {
        certPresented: "1",
        certVerified: "SUCCESS",
        certRevoked: "0",
        certRFC9440: `:${der}:`,
      },
    }),
  };
  const reply = await send(phylax.dev, undefined, url, {
    headers: { authorization: `Bearer ${token}`, ...forged },
  });
  expect(reply.status).toBe(401);
  expect(await reasonOf(reply.headers["x-request-id"])).toBe("certificate_missing");
});

test("T45, T47: FHIR routes refuse by OperationOutcome, the remaining routes by problem details, and no cache may store either", async ({
  expect,
}) => {
  const routes = [
    ["401", url, "application/fhir+json", {}],
    [
      "403",
      `${phylax.dev.fhir}/Subscription/x`,
      "application/fhir+json",
      { authorization: `Bearer ${token}` },
    ],
    [
      "404",
      `${phylax.dev.fhir}/Patient/nobody`,
      "application/fhir+json",
      { authorization: `Bearer ${token}` },
    ],
    ["404", `${phylax.dev.gateway}/elsewhere`, "application/problem+json", {}],
    ["405", phylax.dev.tokenEndpoint, "application/problem+json", {}],
  ] as const;
  for (const [status, where, type, headers] of routes) {
    const reply = await send(phylax.dev, telehealth(), where, { headers });
    expect(String(reply.status), where).toBe(status);
    expect(reply.headers["content-type"], where).toContain(type);
    expect(reply.headers["cache-control"], where).toBe("no-store");
    expect(reply.headers["x-request-id"], where).toMatch(/^[0-9a-f]{32}$/u);
  }
  const read = await phylax.ask("telehealth", "Patient/amara-okafor");
  expect(read.headers["cache-control"]).toBe("no-store");
});

test("T45, T46, T47: of 1,000 refused requests (80 in the fast lane) that carry a canary, no answer and no printed line contains it, nor any token or key", async ({
  expect,
}) => {
  const canary = `canary${randomUUID().replaceAll("-", "")}`;
  const state = dirname(dirname(phylax.dev.clientCa.cert));
  const kept = readdirSync(join(state, "secrets")).map((name) =>
    readFileSync(join(state, "secrets", name), "utf8").trim(),
  );
  const printed = new LogWatch([canary, "Okafor", ...kept]);
  const [, payload = ""] = token.split(".");
  const assertion = await clientAssertion(phylax.dev, telehealth(), { jti: canary });
  const ways: readonly (() => Promise<{
    readonly status: number;
    readonly text: string;
    readonly headers: Reply["headers"];
  }>)[] = [
    () => send(phylax.dev, telehealth(), url, { headers: { authorization: `Bearer ${canary}` } }),
    () =>
      send(phylax.dev, telehealth(), url, {
        headers: { authorization: `Bearer ${token.replace(payload, canary)}` },
      }),
    () => send(phylax.dev, telehealth(), url, { headers: { authorization: `DPoP ${token}`, dpop: canary } }),
    () => send(phylax.dev, telehealth(), url, { headers: { authorization: `${canary} x` } }),
    () => phylax.ask("telehealth", `Patient/${canary}`),
    () => phylax.ask("telehealth", `Patient?favourite-colour=${canary}`),
    () => phylax.ask("telehealth", `Patient?family=${canary}&birthdate=${canary}`),
    () => phylax.ask("telehealth", "Patient/amara-okafor", { headers: { "phylax-purpose": canary } }),
    () => phylax.ask("telehealth", "Patient/amara-okafor", { headers: { accept: `application/${canary}` } }),
    () =>
      send(phylax.dev, telehealth(), phylax.dev.tokenEndpoint, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: `grant_type=client_credentials&scope=${canary}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=${assertion}`,
      }),
  ];
  const replies = [];
  const rounds = inLane({ fast: 8, slow: 100, long: 100 });
  for (let times = 0; times < rounds; times += 1)
    replies.push(...(await Promise.all(ways.map((way) => way()))));
  // Faults too: each prints a line.
  await inEachShard(phylax, breakLedger);
  const types = new Set<string>();
  for (const way of ways) {
    const reply = await way();
    replies.push(reply);
    if (reply.status !== 503) continue;
    types.add(String(reply.headers["content-type"]));
    expect(reply.headers["cache-control"], "T47").toBe("no-store");
  }
  expect([...types].toSorted(), "T45: a fault at each door").toEqual([
    "application/fhir+json; charset=utf-8",
    "application/problem+json",
  ]);
  await inEachShard(phylax, "DROP TRIGGER broken");
  const lines = printed.lines;
  printed.end();
  expect(lines).toBeGreaterThanOrEqual(1);
  expect(replies.length).toBeGreaterThanOrEqual(10 * rounds);
  for (const { status, text, headers } of replies) {
    expect(status).toBeGreaterThanOrEqual(400);
    const answer = `${text}${JSON.stringify(headers)}`;
    expect(answer).not.toContain(canary);
    expect(answer).not.toContain(token);
    expect(answer).not.toContain("Okafor");
  }
});

test("T46: the watch itself sees a token and a secret that are printed", ({ expect }) => {
  for (const line of [
    "fault at eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ0ZWxlaGVhbHRoIn0.c2ln",
    "the key is kept-secret",
  ]) {
    const watch = new LogWatch(["kept-secret"]);
    console.error(line);
    expect(() => watch.end()).toThrow("printed");
  }
  const watch = new LogWatch(["kept-secret"]);
  console.error("an ordinary line");
  expect(() => watch.end()).not.toThrow();
});

test(
  "mangled tokens, proofs and assertions are 4xx at both doors, never a fault",
  { timeout: 120_000 },
  async ({ expect }) => {
    const holder = await keyHolder("nobody");
    const proof = await proofFor(phylax, holder, token, "Patient/amara-okafor");
    const assertion = await clientAssertion(phylax.dev, telehealth());
    // The texts that a header can carry: the client's own library refuses the rest.
    const carried = (good: string) => mangled(good).filter((text) => /^[\x21-\x7e]*$/u.test(text));
    const form = "application/x-www-form-urlencoded";
    const tokenRequest = (text: string) =>
      `grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=${encodeURIComponent(text)}`;
    const ways: readonly [fc.Arbitrary<string>, (text: string) => Promise<Reply>][] = [
      [
        carried(token),
        (text) => send(phylax.dev, telehealth(), url, { headers: { authorization: `Bearer ${text}` } }),
      ],
      [
        carried(token),
        (text) =>
          send(phylax.dev, undefined, url, { headers: { authorization: `DPoP ${text}`, dpop: proof } }),
      ],
      [
        carried(proof),
        (text) =>
          send(phylax.dev, undefined, url, { headers: { authorization: `DPoP ${token}`, dpop: text } }),
      ],
      [
        carried(assertion),
        (text) =>
          send(phylax.dev, telehealth(), phylax.dev.tokenEndpoint, {
            method: "POST",
            headers: { "content-type": form },
            body: tokenRequest(text),
          }),
      ],
    ];
    const samples = inLane({ fast: 12, slow: 150, long: 150 });
    for (const [texts, way] of ways) {
      const statuses = await Promise.all(
        fc.sample(texts, samples).map(async (text) => (await way(text)).status),
      );
      expect(statuses.filter((status) => status < 400 || status > 499)).toEqual([]);
    }
  },
);

test("T49: ids of requests and tokens are 128 random bits: no two alike, each bit as often set as not", async ({
  expect,
}) => {
  const length = inLane({ fast: 100, slow: 400, long: 400 });
  const replies = await Promise.all(Array.from({ length }, () => send(phylax.dev, undefined, url)));
  const ids = replies.map(({ headers }) => String(headers["x-request-id"]));
  expect(new Set(ids).size).toBe(length);
  // Six standard deviations: a bit that is stuck or leans by a third fails the test, chance does not.
  const tolerance = 3 * Math.sqrt(length);
  for (let bit = 0; bit < 128; bit += 1) {
    const set = ids.filter((id) => (BigInt(`0x${id}`) >> BigInt(bit)) & 1n).length;
    expect(Math.abs(set - length / 2), `bit ${bit}`).toBeLessThan(tolerance);
  }
  const tokens = await Promise.all(Array.from({ length: 50 }, () => phylax.token("telehealth")));
  const names = tokens.map((each) => String(decodeJwt(each).jti));
  expect(new Set(names).size).toBe(50);
  for (const name of names) expect(name, "of each token").toMatch(/^[0-9a-f]{32}$/u);
});

test.skipIf(lane === "fast")(
  "T2: an origin with an unverified certificate is never asked: 502, and it gets no request (slow lane)",
  { timeout: 60_000 },
  async ({ expect }) => {
    const heard: string[] = [];
    const elsewhere = mkdtempSync(join(tmpdir(), "phylax-nobodys-ca-"));
    await ensureAuthority(elsewhere); // the gateway trusts the sandbox's own authority
    const { cert, key } = await ensureServerCertificate(elsewhere);
    const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
      heard.push(request.url ?? "");
      response.end("{}");
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const { port } = server.address() as AddressInfo; // a listening TCP server has a port
    const other = await startTestStack({ origin: `https://localhost:${port}/fhir` });
    try {
      const reply = await other.ask("telehealth", "Patient/anybody");
      expect(reply.status).toBe(502);
      expect(heard).toEqual([]);
    } finally {
      await other.close();
      server.close();
      rmSync(elsewhere, { recursive: true, force: true });
    }
  },
);
