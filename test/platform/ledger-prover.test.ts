import { test, vi } from "vitest";
import type { Recorded } from "#audit/ports";
import { deadlines } from "#platform/deadlines";
import { ledgerProver } from "#platform/ledger/client/prover";

const at: Recorded = {
  log: "s0-2026h2",
  index: 7,
  count: 1,
  frame: 2,
  leafHash: new Uint8Array(32),
  frameHash: new Uint8Array(32),
};

/**
 * A ledger whose shard gives these answers in order; with the calls it got, and how long the prover waited.
 */
function proverOf(...answers: readonly (() => Promise<Uint8Array | undefined>)[]) {
  const calls: (string | number)[] = [];
  let turn = 0;
  const shard = (log: string) => ({
    proof: async (index: number) => {
      calls.push(log, index);
      return answers[turn++]?.();
    },
  });
  const wait = async (milliseconds: number) => void calls.push(`waited ${milliseconds}`);
  return { calls, prove: () => ledgerProver(shard, wait).prove(at) };
}
const proof = Uint8Array.of(1);
const later = () => Promise.resolve(undefined);

test("a proof is had at once, or after the second that a checkpoint takes", async ({ expect }) => {
  const soon = proverOf(() => Promise.resolve(proof));
  expect([await soon.prove(), soon.calls]).toEqual([proof, ["s0-2026h2", 7]]);
  const second = proverOf(later, () => Promise.resolve(proof));
  expect([await second.prove(), second.calls]).toEqual([
    proof,
    ["s0-2026h2", 7, "waited 1050", "s0-2026h2", 7],
  ]);
});

test("an answer is never lost, nor late, for its proof: there is none, and that is all", async ({
  expect,
}) => {
  expect(await proverOf(later, later).prove()).toBeUndefined();
  expect(await proverOf(() => Promise.reject(new Error("the shard is down"))).prove()).toBeUndefined();
  vi.useFakeTimers();
  try {
    const silent = proverOf(() => new Promise(() => {})).prove();
    await vi.advanceTimersByTimeAsync(deadlines.ledgerProof);
    expect(await silent).toBeUndefined();
  } finally {
    vi.useRealTimers();
  }
});
