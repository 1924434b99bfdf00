import { test } from "vitest";
import { gatewayConfig } from "#platform/config/gateway-config";
import { newKey } from "../../support/credentials.ts";
import { exportJWK } from "jose";

const key32 = Buffer.alloc(32, 7).toString("base64url");
const env = {
  PUBLIC_URL: "https://gateway.example.org",
  MTLS_URL: "",
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

test.for<readonly [string, string]>([
  ["MTLS_URL", "http://mtls.example.org"],
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
