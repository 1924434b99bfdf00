import { Hono } from "hono";
import { test } from "vitest";
import { addFloodFilter, type CallCounter } from "#gateway/flood-filter";

/** A door that lets three of a key in, and notes the keys. */
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
  const app = new Hono();
  addFloodFilter(app, {
    anonymousCalls: counter("anonymous"),
    unprovenCalls: counter("unproven"),
    browserPages: { has: (page) => Promise.resolve(page === "https://app.example.org") },
    newId: () => "0".repeat(32),
  });
  app.all("*", () => new Response("served"));
  return { app, keys };
}

const call = (path: string, address: string, headers: Readonly<Record<string, string>> = {}, certVerified = "NONE") =>
  Object.assign(
    new Request(`https://gateway.example.org${path}`, { method: "POST", headers: { "cf-connecting-ip": address, ...headers } }),
    { cf: { tlsClientAuth: { certVerified } } },
  );
const fhir = "/v1/fhir/main/Patient/_search";

test("a flood from one network is turned away before anything is proven, and another network is not", async ({ expect }) => {
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
  expect(await refused.json()).toMatchObject({ resourceType: "OperationOutcome", issue: [{ code: "throttled" }] });
  expect((await app.fetch(call(fhir, "198.51.100.1"))).status).toBe(200);
});

test("who brings a token is counted apart from who brings nothing, at the issuer all without a certificate are", async ({ expect }) => {
  const { app, keys } = door();
  await app.fetch(call(fhir, "2001:db8:1:2::9"));
  await app.fetch(call(fhir, "2001:db8:1:3::9", { authorization: "DPoP x" }));
  await app.fetch(call("/oauth/token", "192.0.2.1", { authorization: "DPoP x" }));
  expect(keys).toEqual(["anonymous: fhir 2001:db8:1", "unproven: fhir 2001:db8:1", "anonymous: oauth 192.0.2"]);
  for (const _ of [1, 2]) await app.fetch(call("/oauth/introspect", "192.0.2.1"));
  const refused = await app.fetch(call("/oauth/revoke", "192.0.2.1"));
  expect(refused.status).toBe(429);
  expect(refused.headers.get("content-type")).toBe("application/problem+json");
});

test("a certificate that the edge verified is not counted, one that it did not is", async ({ expect }) => {
  const { app, keys } = door();
  for (let n = 0; n < 9; n += 1) expect((await app.fetch(call(fhir, "192.0.2.1", {}, "SUCCESS"))).status).toBe(200);
  expect(keys).toEqual([]);
  await app.fetch(call(fhir, "192.0.2.1", {}, "FAILED:self signed certificate"));
  expect(keys).toHaveLength(1);
});

test("when nobody counts, everybody is let in: it only spares work", async ({ expect }) => {
  const { app } = door(true);
  for (let n = 0; n < 9; n += 1) expect((await app.fetch(call(fhir, "192.0.2.1"))).status).toBe(200);
});
