import { test } from "vitest";
import { gatewayConfig } from "#platform/config/gateway-config";
import { newKey } from "../../support/credentials.ts";
import { exportJWK } from "jose";

const key32 = Buffer.alloc(32, 7).toString("base64url");
const env = {
  PUBLIC_URL: "https://gateway.example.org",
  MTLS_URL: "",
  TRACES: "",
  LEDGER_SHARDS: "4",
  LEDGER_SPREAD: "2",
  ORIGIN_HOSTS: "fhir.example.org",
  IDENTITY_HOSTS: "",
  SECRET_HOSTS: "",
  TOKEN_SIGNING_KEY: "{}",
  TOKEN_VERIFICATION_KEYS: "",
  RESPONSE_SIGNING_KEY: '{"kty":"OKP"}',
  RESPONSE_VERIFICATION_KEYS: "",
  PAGING_KEY: key32,
  DPOP_NONCE_KEY: key32,
};
const { jwk, privateKey } = await newKey("ES256", "token-2");

test("a second host and further keys are absent unless configured", ({ expect }) => {
  expect(gatewayConfig(env)).toMatchObject({ mtlsUrl: undefined, tokenVerificationKeys: [] });
  const both = gatewayConfig({
    ...env,
    MTLS_URL: "https://mtls.example.org",
    TOKEN_VERIFICATION_KEYS: JSON.stringify({ keys: [jwk] }),
  });
  expect(both).toMatchObject({
    mtlsUrl: "https://mtls.example.org",
    tokenVerificationKeys: [{ kid: "token-2" }],
  });
});

test("without LEDGER_REGIONS and LEDGER_JURISDICTION no shard has a place; with them each has", ({
  expect,
}) => {
  const nowhere = { layout: { shards: 4, periods: [] }, jurisdiction: undefined };
  expect(gatewayConfig(env).placement).toEqual(nowhere);
  expect(gatewayConfig({ ...env, LEDGER_REGIONS: "", LEDGER_JURISDICTION: "" }).placement).toEqual(nowhere);
  const config = gatewayConfig({ ...env, LEDGER_REGIONS: "weur:3 enam:1", LEDGER_JURISDICTION: "eu" });
  expect(config.placement).toMatchObject({
    layout: {
      periods: [{ from: "", regions: [{ region: "weur" }, { region: "enam", first: 3, count: 1 }] }],
    },
    jurisdiction: "eu",
  });
  const settings = new Map(config.described().settings);
  expect(settings.get("LEDGER_REGIONS")).toBe("weur:3 enam:1");
  expect(settings.get("LEDGER_JURISDICTION")).toBe("eu");
});

test.for<readonly [string, string]>([
  ["MTLS_URL", "http://mtls.example.org"],
  ["LEDGER_SHARDS", "0"],
  ["LEDGER_SHARDS", "10001"],
  ["LEDGER_SHARDS", "four"],
  ["LEDGER_SPREAD", "0"],
  ["LEDGER_REGIONS", "weur:2 enam:1"],
  ["LEDGER_REGIONS", "weur:4; 2027h1 moon:4"],
  ["LEDGER_JURISDICTION", "europe"],
  ["MTLS_URL", "https://mtls.example.org/"],
  ["PUBLIC_URL", "https://gateway.example.org/v1"],
  ["RESPONSE_SIGNING_KEY", ""],
  ["RESPONSE_SIGNING_KEY", env.TOKEN_SIGNING_KEY],
  ["RESPONSE_VERIFICATION_KEYS", "canary"],
  ["TOKEN_VERIFICATION_KEYS", "canary"],
  ["TOKEN_VERIFICATION_KEYS", '{"keys":[]}'],
  [
    "TOKEN_VERIFICATION_KEYS",
    JSON.stringify({ keys: [{ ...(await exportJWK(privateKey)), kid: "token-2" }] }),
  ],
])("a bad %s stops the gateway, named and never shown", ([name, value], { expect }) => {
  expect(() => gatewayConfig({ ...env, [name]: value })).toThrow(
    new RegExp(`^${name}: expected [^"{]*$`, "u"),
  );
});

test("a spread over more shards than there are is a spread over all of them", ({ expect }) => {
  expect(gatewayConfig({ ...env, LEDGER_SHARDS: "1", LEDGER_SPREAD: "2" }).ledgerSpread).toBe(1);
  expect(gatewayConfig({ ...env, LEDGER_SHARDS: "4", LEDGER_SPREAD: "2" }).ledgerSpread).toBe(2);
});

test("TRACES names a private address, a share of the requests, and perhaps a secret", ({ expect }) => {
  const read = (TRACES: string) => gatewayConfig({ ...env, TRACES }).traces;
  const url = "https://collector.example.org/v1/traces";
  expect(read("")).toBeUndefined();
  expect(read(`${url} 0.01`)).toEqual({ url, share: 0.01, secret: undefined });
  expect(read(`${url} 1 COLLECTOR_KEY`)).toEqual({ url, share: 1, secret: "COLLECTOR_KEY" });
  expect(read("http://127.0.0.1:4318/v1/traces 1")?.share).toBe(1);
  for (const wrong of [
    url,
    `${url} 0`,
    `${url} 1.5`,
    `${url} 1e-2`,
    `${url} -1`,
    `${url} 1 COLLECTOR_KEY more`,
    "http://collector.example.org/v1/traces 1",
    "https://user:word@collector.example.org/v1/traces 1",
    `${url}?key=word 1`,
    "collector.example.org 1",
  ])
    expect(() => read(wrong), wrong).toThrow(/TRACES/u);
});
