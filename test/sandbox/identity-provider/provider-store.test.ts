import { afterEach, beforeEach, test, vi } from "vitest";
import { providerStores } from "../../../sandbox/identity-provider/provider-store.ts";

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

test("an entry is found by its kind until it expires", async ({ expect }) => {
  const store = providerStores();
  await store("Session").upsert("a", { uid: "u" }, 10);
  expect(await store("Session").find("a")).toEqual({ uid: "u" });
  expect(await store("Session").findByUid("u")).toEqual({ uid: "u" });
  expect(await store("Grant").find("a")).toBeUndefined();
  expect(await providerStores()("Session").find("a")).toBeUndefined();
  vi.setSystemTime(10_000);
  expect(await store("Session").find("a")).toBeUndefined();
  expect(await store("Session").findByUid("u")).toBeUndefined();
});

test("a used entry stays stored as used; the entries of a grant are deleted with the grant", async ({
  expect,
}) => {
  const tokens = providerStores()("RefreshToken");
  await tokens.upsert("one", { grantId: "g" }, 10);
  await tokens.upsert("two", { grantId: "h" }, 10);
  await tokens.consume("one");
  expect(await tokens.find("one")).toEqual({ grantId: "g", consumed: 0 });
  await tokens.revokeByGrantId("g");
  expect(await tokens.find("one")).toBeUndefined();
  expect(await tokens.find("two")).toEqual({ grantId: "h" });
  await tokens.destroy("two");
  expect(await tokens.find("two")).toBeUndefined();
});

test("beyond 10,000 the oldest goes", async ({ expect }) => {
  const sessions = providerStores()("Session");
  for (let i = 0; i <= 10_000; i++) await sessions.upsert(String(i), {}, 10);
  expect(await sessions.find("0")).toBeUndefined();
  expect(await sessions.find("1")).toBeDefined();
  expect(await sessions.find("10000")).toBeDefined();
});
