import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { ownSecrets } from "#platform/config";
import { Secret } from "#kernel/secret";
import { originAddress } from "#platform/origin-address";
import type { OriginTokens } from "#platform/origin-tokens";

const bearer = (secret: string) =>
  ({
    name: "main",
    url: "https://fhir.example.org/r4",
    credentials: { kind: "bearer", secret },
    forwardClientCert: false,
  }) as const;

const keyed = (secret: string) =>
  ({
    name: "main",
    url: "https://fhir.example.org/r4",
    credentials: {
      kind: "private_key_jwt",
      secret,
      clientId: "phylax",
      tokenEndpoint: "https://fhir.example.org/token",
      scope: "system/*.rs",
    },
    forwardClientCert: false,
  }) as const;
const none: OriginTokens = () => {
  throw new Error("no token was asked for");
};
const at = (origin: Parameters<typeof originAddress>[0], secret: unknown, tokens = none) => originAddress(origin, () => secret, tokens);

test("an origin's bearer token is the secret that its entry names, and its absence a fault that names it", ({ expect }) => {
  const { bearer: held } = at(bearer("LAB_TOKEN"), "a-token");
  expect(held instanceof Secret && held.reveal()).toBe("a-token");
  expect(() => at(bearer("LAB_TOKEN"), undefined)).toThrow("LAB_TOKEN");
});

test("no entry makes the gateway send one of its own secrets to an origin", ({ expect }) => {
  const config = readFileSync(join(import.meta.dirname, "../../wrangler.toml"), "utf8");
  const required = /^required = \[(.*)\]$/mu.exec(config)?.[1]?.match(/[A-Z_]+/gu) ?? [];
  expect(required.length).toBeGreaterThan(0);
  expect([...ownSecrets].sort()).toEqual([...required].sort());
  for (const name of required) {
    expect(() => at(bearer(name), "the gateway's own")).toThrow(name);
    expect(() => at(keyed(name), "the gateway's own")).toThrow(name);
  }
});
