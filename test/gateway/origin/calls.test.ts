import { test } from "vitest";
import type { Origins } from "#fhir/ports";
import { OriginCalls } from "#gateway/origin/calls";

test("a request asks for the behaviour of its origin once", async ({ expect }) => {
  let asked = 0;
  const never = () => Promise.reject(new Error("nothing is sent"));
  const traits = async () => {
    asked += 1;
    return undefined;
  };
  const origins: Origins = { traits, ask: never, open: never, send: never };
  const request = () =>
    new OriginCalls(origins, {
      name: "main",
      base: "https://phylax.example/v1/fhir/main",
      client: "a",
      clientCert: undefined,
      leases: { take: never },
    });
  const calls = request();
  await calls.traits();
  await calls.traits();
  expect(asked).toBe(1);
  await request().traits();
  expect(asked, "the entry may have changed").toBe(2);
});
