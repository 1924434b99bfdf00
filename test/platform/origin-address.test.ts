import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { ownSecrets } from "#platform/config";
import { originAddress } from "#platform/origin-address";

const bearer = (secret: string) => ({ name: "main", url: "https://fhir.example.org/r4", credentials: { kind: "bearer", secret }, forwardClientCert: false }) as const;

test("an origin's bearer token is the secret that its entry names, and its absence a fault that names it", ({ expect }) => {
  expect(originAddress(bearer("LAB_TOKEN"), () => "a-token").bearer?.reveal()).toBe("a-token");
  expect(() => originAddress(bearer("LAB_TOKEN"), () => undefined)).toThrow("LAB_TOKEN");
});

test("no entry makes the gateway send one of its own secrets to an origin", ({ expect }) => {
  const config = readFileSync(join(import.meta.dirname, "../../wrangler.toml"), "utf8");
  const required = /^required = \[(.*)\]$/mu.exec(config)?.[1]?.match(/[A-Z_]+/gu) ?? [];
  expect(required.length).toBeGreaterThan(0);
  expect([...ownSecrets].sort()).toEqual([...required].sort());
  for (const name of required) expect(() => originAddress(bearer(name), () => "the gateway's own")).toThrow(name);
});
