import { test } from "vitest";
import type { Origins, OriginTraits } from "#fhir/ports";
import { OriginCalls } from "#gateway/origin/calls";

test("whether a server keeps the form of a row is learned anew from each copy of its entry, and one row in another form decides", async ({
  expect,
}) => {
  const traits = (): OriginTraits => ({
    transactions: undefined,
    honoursIfMatchOnDelete: false,
    acceptsSearchInUrl: false,
    capabilities: {},
  });
  let entry = traits();
  const never = () => Promise.reject(new Error("nothing is sent"));
  const origins: Origins = { traits: async () => entry, ask: never, open: never, send: never };
  const calls = new OriginCalls(origins, {
    name: "main",
    base: "https://phylax.example/v1/fhir/main",
    client: "a",
    clientCert: undefined,
    leases: { take: never },
  });
  expect(await calls.keepsForm()).toBeUndefined();
  await calls.learnForm(true);
  expect(await calls.keepsForm()).toBe(true);
  await calls.learnForm(false);
  await calls.learnForm(true);
  expect(await calls.keepsForm()).toBe(false);
  entry = traits();
  expect(await calls.keepsForm(), "the entry was read anew").toBeUndefined();
});
