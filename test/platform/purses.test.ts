import { test } from "vitest";
import { instant } from "#kernel/clock";
import type { Spend } from "#limits/ports";
import { emptyPurse } from "#limits/purse";
import { Purses } from "#platform/durable/purses";

const at = instant(1_000);
const of = (client: string, issuer = "https://a.example", key = "main/TREAT"): Spend => ({
  client,
  key,
  issuer,
  quota: { requests: 10, windowSeconds: 60, revision: 1 },
});
const nothing = { bookmark: null, pending: [], denied: new Map<string, null>() };
const full = { ...emptyPurse(at), tokens: 5 };

test("each quota has a purse of its own, and what was heard belongs to a client and an issuer", ({ expect }) => {
  const purses = new Purses(() => at);
  purses.set(of("a"), full);
  purses.setHeard(of("a"), { ...nothing, epoch: 3 });
  expect(purses.of(of("a"))).toBe(full);
  expect(purses.heard(of("a", undefined, "main/HPAYMT"))?.epoch).toBe(3);
  for (const other of [of("b"), of("a", "https://b.example"), of("a", undefined, "main/HPAYMT")]) expect(purses.of(other).tokens).toBe(0);
  for (const other of [of("b"), of("a", "https://b.example")]) expect(purses.heard(other)).toBeUndefined();
});

test("with more than 2,000 clients the least lately used loses its leases together with what it had heard", ({ expect }) => {
  const purses = new Purses(() => at);
  for (let n = 0; n < 2_000; n += 1) {
    purses.set(of(`${n}`), full);
    purses.setHeard(of(`${n}`), { ...nothing, epoch: 1 });
  }
  purses.set(of("0"), full);
  purses.set(of("one more"), full);
  expect(purses.of(of("1")).tokens).toBe(0);
  expect(purses.heard(of("1"))).toBeUndefined();
  expect(purses.of(of("0")).tokens).toBe(5);
});
