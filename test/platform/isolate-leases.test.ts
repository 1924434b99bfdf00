import { test } from "vitest";
import { instant } from "#kernel/clock";
import type { Spend } from "#limits/ports";
import { emptyLease } from "#limits/isolate-lease";
import { IsolateLeases } from "#platform/guard/isolate/isolate-leases";

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
const full = { ...emptyLease("default", at), tokens: 5 };

test("each quota has its own lease, and the known revocations belong to a client and an issuer", ({
  expect,
}) => {
  const leases = new IsolateLeases(() => at);
  leases.set(of("a"), full);
  leases.setRevocations(of("a"), { ...nothing, epoch: 3 });
  expect(leases.get(of("a"))).toBe(full);
  expect(leases.revocations(of("a", undefined, "main/HPAYMT"))?.epoch).toBe(3);
  for (const other of [of("b"), of("a", "https://b.example"), of("a", undefined, "main/HPAYMT")])
    expect(leases.get(other).tokens).toBe(0);
  for (const other of [of("b"), of("a", "https://b.example")])
    expect(leases.revocations(other)).toBeUndefined();
});

test("with more than 10,000 clients the least recently used client loses its leases together with its revocations", ({
  expect,
}) => {
  const leases = new IsolateLeases(() => at);
  for (let n = 0; n < 10_000; n += 1) {
    leases.set(of(`${n}`), full);
    leases.setRevocations(of(`${n}`), { ...nothing, epoch: 1 });
  }
  leases.set(of("0"), full);
  leases.set(of("one more"), full);
  expect(leases.get(of("1")).tokens).toBe(0);
  expect(leases.revocations(of("1"))).toBeUndefined();
  expect(leases.get(of("0")).tokens).toBe(5);
});

test("a subject's lease is its own, and with more than 10,000 of them the least lately used is pushed out alone", ({
  expect,
}) => {
  const leases = new IsolateLeases(() => at);
  const subject = (name: string): Spend => ({
    ...of("a"),
    policy: "subject",
    subject: `https://a.example ${name}`,
  });
  leases.set(of("a"), full);
  for (let n = 0; n < 10_000; n += 1) leases.set(subject(`${n}`), { ...full, policy: "subject", tokens: 1 });
  leases.set(subject("0"), { ...full, policy: "subject", tokens: 2 });
  leases.set(subject("one more"), full);
  expect(["0", "1", "2"].map((name) => leases.get(subject(name)).tokens)).toEqual([2, 0, 1]);
  expect(
    leases.get({ ...of("b"), policy: "subject", subject: "https://a.example 0" }).tokens,
    "another client's",
  ).toBe(0);
  expect(leases.get(of("a")).tokens).toBe(5);
});

test("the records of a grant have their own lease, separate from its requests", ({ expect }) => {
  const leases = new IsolateLeases(() => at);
  leases.set(of("a"), full);
  expect(leases.get({ ...of("a"), policy: "records" })).toMatchObject({ policy: "records", tokens: 0 });
});

test("clients with the same denials share a list, and a different denial or end makes a different list", ({
  expect,
}) => {
  const leases = new IsolateLeases(() => at);
  const listOf = (client: string, ...denied: readonly [string, number | null][]) => {
    const ends = denied.map(([name, until]) => [name, until === null ? null : instant(until)] as const);
    leases.setRevocations(of(client), { ...nothing, epoch: 1, denied: new Map(ends) });
    return leases.revocations(of(client))?.denied;
  };
  const first = listOf("a", ["x", null], ["y", 5]);
  expect(listOf("b", ["x", null], ["y", 5])).toBe(first);
  expect(listOf("c")).toBe(listOf("d"));
  const other = listOf("e", ["x", null], ["y", 6]);
  expect(other).not.toBe(first);
  expect([...(other ?? [])]).toEqual([
    ["x", null],
    ["y", 6],
  ]);
  expect(listOf("f", ["x", null])?.has("y")).toBe(false);
});
