import { test } from "vitest";
import { Router } from "#entrypoint/router";
import { addFloodFilter } from "#gateway/http/flood-filter";
import type { CallCounter } from "#limits/flood";

/** A door that admits three calls of a key, and notes the keys. */
function door(fails = false) {
  const keys: string[] = [];
  const counter = (kind: string): CallCounter => ({
    limit: ({ key }) => {
      keys.push(`${kind}: ${key}`);
      return fails
        ? Promise.reject(new Error("down"))
        : Promise.resolve({ success: keys.filter((one) => one === `${kind}: ${key}`).length <= 3 });
    },
  });
  const newId = () => "0".repeat(32);
  const app = new Router({ newId, onFault: () => {} });
  addFloodFilter(app, {
    anonymousCalls: counter("anonymous"),
    unprovenCalls: counter("unproven"),
    provenCalls: counter("proven"),
    browserPages: { has: (page) => Promise.resolve(page === "https://app.example.org") },
    newId,
  });
  app.on("*", "/*", () => new Response("served"));
  return { app, keys };
}

const none = { certPresented: "0", certVerified: "NONE", certRevoked: "0" };
/** The edge's report of the certificate with this number. */
const certificate = (n: number, told: object = {}) => ({
  certPresented: "1",
  certVerified: "SUCCESS",
  certRevoked: "0",
  certFingerprintSHA256: String(n).repeat(64),
  ...told,
});
const call = (
  path: string,
  address: string,
  headers: Readonly<Record<string, string>> = {},
  tlsClientAuth: object = none,
) =>
  Object.assign(
    new Request(`https://gateway.example.org${path}`, {
      method: "POST",
      headers: { "cf-connecting-ip": address, ...headers },
    }),
    { cf: { tlsClientAuth } },
  );
const fhir = "/v1/fhir/main/Patient/_search";

test("a flood from a network is turned away before anything is proven, and a different network is not", async ({
  expect,
}) => {
  const { app } = door();
  for (const last of [1, 2, 3]) expect((await app.fetch(call(fhir, `192.0.2.${last}`))).status).toBe(200);
  const refused = await app.fetch(call(fhir, "192.0.2.4", { origin: "https://app.example.org" }));
  expect(refused.status).toBe(429);
  expect(Object.fromEntries(refused.headers)).toMatchObject({
    "retry-after": "60",
    "cache-control": "no-store",
    "content-type": "application/fhir+json; charset=utf-8",
    "access-control-allow-origin": "https://app.example.org",
  });
  expect(await refused.json()).toMatchObject({
    resourceType: "OperationOutcome",
    issue: [{ code: "throttled" }],
  });
  expect((await app.fetch(call(fhir, "198.51.100.1"))).status).toBe(200);
});

test("who brings a token is counted apart from who brings nothing, at the issuer all without a certificate are", async ({
  expect,
}) => {
  const { app, keys } = door();
  await app.fetch(call(fhir, "2001:db8:1:2::9"));
  await app.fetch(call(fhir, "2001:db8:1:3::9", { authorization: "DPoP x" }));
  await app.fetch(call("/oauth/token", "192.0.2.1", { authorization: "DPoP x" }));
  expect(keys).toEqual([
    "anonymous: fhir 2001:db8:1",
    "unproven: fhir 2001:db8:1",
    "anonymous: oauth 192.0.2",
  ]);
  for (const _ of [1, 2]) await app.fetch(call("/oauth/introspect", "192.0.2.1"));
  const refused = await app.fetch(call("/oauth/revoke", "192.0.2.1"));
  expect(refused.status).toBe(429);
  expect(refused.headers.get("content-type")).toBe("application/problem+json");
});

test("each certificate that the edge verified is counted for itself, whatever network it comes from", async ({
  expect,
}) => {
  const { app, keys } = door();
  const from = (n: number, last: number) =>
    app.fetch(call(fhir, `192.0.${last}.1`, { authorization: "Bearer x" }, certificate(n)));
  for (const last of [1, 2, 3]) expect((await from(1, last)).status).toBe(200);
  expect((await from(1, 4)).status, "one certificate, four networks").toBe(429);
  expect((await from(2, 4)).status, "another certificate").toBe(200);
  expect(
    (await app.fetch(call("/oauth/token", "192.0.2.1", {}, certificate(1)))).status,
    "another door",
  ).toBe(200);
  expect(new Set(keys)).toEqual(
    new Set(
      [1, 2]
        .map((n) => `proven: fhir certificate ${String(n).repeat(64)}`)
        .concat(`proven: oauth certificate ${"1".repeat(64)}`),
    ),
  );
});

test("a certificate that is revoked, unverified by the edge, or without a fingerprint does not count: the network is counted", async ({
  expect,
}) => {
  for (const told of [
    { certRevoked: "1" },
    { certRevoked: "" },
    { certVerified: "FAILED:self signed certificate" },
    { certVerified: "NONE" },
    { certPresented: "0" },
    { certFingerprintSHA256: "" },
    { certFingerprintSHA256: undefined },
  ]) {
    const { app, keys } = door();
    for (const last of [1, 2, 3, 4])
      await app.fetch(call(fhir, `192.0.2.${last}`, {}, certificate(last, told)));
    expect(keys, JSON.stringify(told)).toEqual(Array.from({ length: 4 }, () => "anonymous: fhir 192.0.2"));
    expect((await app.fetch(call(fhir, "192.0.2.5", {}, certificate(5, told)))).status).toBe(429);
  }
});

test("readiness, key sets and metadata are counted too; liveness is not", async ({ expect }) => {
  const { app, keys } = door();
  for (const path of ["/readyz", "/oauth/jwks", "/.well-known/oauth-protected-resource/v1/fhir/main"]) {
    const ask = () =>
      app.fetch(
        new Request(`https://gateway.example.org${path}`, { headers: { "cf-connecting-ip": "192.0.2.1" } }),
      );
    for (let n = 0; n < 3; n += 1) expect((await ask()).status, path).toBe(200);
    const refused = await ask();
    expect([refused.status, refused.headers.get("retry-after")], path).toEqual([429, "60"]);
  }
  const counted = keys.length;
  for (let n = 0; n < 9; n += 1)
    expect((await app.fetch(new Request("https://gateway.example.org/healthz"))).status).toBe(200);
  expect(keys).toHaveLength(counted);
});

test("when the counter fails, every caller is admitted: the filter only saves work", async ({ expect }) => {
  const { app } = door(true);
  for (let n = 0; n < 9; n += 1) expect((await app.fetch(call(fhir, "192.0.2.1"))).status).toBe(200);
});
