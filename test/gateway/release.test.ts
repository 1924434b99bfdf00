import { test } from "vitest";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { HeldBytes } from "#gateway/origin/held-bytes";
import type { Outcome } from "#gateway/outcome";
import { LedgerQueue } from "#gateway/record/ledger-queue";
import type { Recorder } from "#gateway/record/recorder";
import { release } from "#gateway/release";
import { nothingReleased, type Disclosure } from "#phi/disclosure";

const mebibyte = 1_048_576;

/** Releases a content of two windows. A cast stands for each part that a release of content does not ask. */
function contentAt(clearance: "clear" | "refused" | "fault" = "clear", record: unknown = "counted") {
  const steps: string[] = [];
  let memory = 0;
  const held = new HeldBytes({ hold: (bytes) => void (memory = bytes) });
  const window = { ...nothingReleased, body: new Uint8Array(1) };
  const further = [{ body: new Uint8Array(1) }];
  const disclosure: Disclosure = {
    windows: [window],
    released: new Set(),
    withheldPaths: [],
    content: {
      version: "1",
      status: 200,
      held: 3 * mebibyte,
      next: async () => further.shift(),
      stop: async () => void steps.push("stop"),
    },
  };
  const gate = {
    clear: async () => {
      if (clearance === "fault") throw new Error("the guard does not answer");
      return clearance === "clear" ? ok(disclosure) : err({ reason: "client_denied" });
    },
    stillGood: async () => ok(undefined),
  };
  const origin = { held, names: { concerned: {} } };
  const appended = async () => {
    if (record instanceof Error) throw record;
    return record;
  };
  const recorder = {
    request: {},
    facts: {},
    firstWindow: appended,
    window: async () => undefined,
    aborted: async () => undefined,
    refusal: async () => "counted",
  } as unknown as Recorder;
  const outcome = { kind: "disclosed", disclosure, gate, origin, question: {} } as unknown as Outcome;
  const ports = {
    ledgerQueue: new LedgerQueue(() => instant(0)),
    elements: { note: () => undefined },
    keepAlive: () => undefined,
  } as unknown as Parameters<typeof release>[2];
  return { steps, memory: () => memory, released: () => release(outcome, recorder, ports) };
}

test("a content counts as memory from its release until its last window is sent", async ({ expect }) => {
  const { released, memory, steps } = contentAt();
  const { outcome } = await released();
  if (outcome.kind !== "shown" || outcome.body === undefined) throw new Error("no body");
  expect(memory()).toBe(3 * mebibyte);
  let windows = 0;
  for await (const _window of outcome.body) windows += 1;
  expect([windows, memory(), steps]).toEqual([2, 0, ["stop"]]);
});
