import { test } from "vitest";
import { instant } from "#kernel/clock";
import type { Spend } from "#limits/ports";
import { emptyPurse } from "#limits/purse";
import { Purses } from "#platform/guard/isolate/isolate-leases";

const at = instant(1_000);
const of = (client: string, issuer = "https://a.example", key = "main/TREAT"): Spend => ({
  client,
  key,
  policy: "default",
  many: 1,
  issuer,
  quota: { requests: 10, windowSeconds: 60, revision: 1 },
});
const nothing = { bookmark: null, pending: [], denied: new Map<string, null>() };
const full = { ...emptyPurse("default", at), tokens: 5 };

test("each quota has a purse of its own, and what was heard belongs to a client and an issuer", ({
  expect,
}) => {
  const purses = new Purses(() => at);
  purses.set(of("a"), full);
  purses.setHeard(of("a"), { ...nothing, epoch: 3 });
  expect(purses.of(of("a"))).toBe(full);
  expect(purses.heard(of("a", undefined, "main/HPAYMT"))?.epoch).toBe(3);
  for (const other of [of("b"), of("a", "https://b.example"), of("a", undefined, "main/HPAYMT")])
    expect(purses.of(other).tokens).toBe(0);
  for (const other of [of("b"), of("a", "https://b.example")]) expect(purses.heard(other)).toBeUndefined();
});

test("with more than 2,000 clients the least lately used loses its leases together with what it had heard", ({
  expect,
}) => {
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

test("a subject's purse is its own, and with more than 10,000 of them the least lately used is pushed out alone", ({
  expect,
}) => {
  const purses = new Purses(() => at);
  const subject = (name: string): Spend => ({
    ...of("a"),
    policy: "subject",
    subject: `https://a.example ${name}`,
  });
  purses.set(of("a"), full);
  for (let n = 0; n < 10_000; n += 1) purses.set(subject(`${n}`), { ...full, policy: "subject", tokens: 1 });
  purses.set(subject("0"), { ...full, policy: "subject", tokens: 2 });
  purses.set(subject("one more"), full);
  expect(["0", "1", "2"].map((name) => purses.of(subject(name)).tokens)).toEqual([2, 0, 1]);
  expect(
    purses.of({ ...of("b"), policy: "subject", subject: "https://a.example 0" }).tokens,
    "another client's",
  ).toBe(0);
  expect(purses.of(of("a")).tokens).toBe(5);
});

test("the records of a grant have a purse beside its requests", ({ expect }) => {
  const purses = new Purses(() => at);
  purses.set(of("a"), full);
  expect(purses.of({ ...of("a"), policy: "records" })).toMatchObject({ policy: "records", tokens: 0 });
});
