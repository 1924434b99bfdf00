import { test } from "vitest";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { HeldBytes } from "#gateway/origin/held-bytes";
import { JudgedAgain } from "#gateway/judged-again";
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
  const still: unknown[] = [];
  const held = new HeldBytes({ hold: (bytes) => void (memory = bytes), page: () => () => {} });
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
    stillGood: async () => still.shift() ?? ok(undefined),
  };
  const origin = { held, names: { concerned: { due: () => 0, alone: () => undefined } } };
  const appended = async () => {
    if (record instanceof Error) throw record;
    return record;
  };
  const recorder = {
    request: {},
    facts: { origin },
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
  const released = (again?: JudgedAgain) => release(outcome, recorder, ports, again);
  return { steps, memory: () => memory, released, outcome, still, recorder };
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

test.for([
  ["the gate refuses", "refused", "counted"],
  ["the gate throws", "fault", "counted"],
  ["the ledger throws", "clear", new Error("no ledger")],
  ["the proof was used before", "clear", "replayed"],
] as const)("an opened content is closed if %s", async ([, clearance, record], { expect }) => {
  const { released, steps } = contentAt(clearance, record);
  const isFault = clearance === "fault" || record instanceof Error;
  const outcome = await released().then(
    (answer) => answer.outcome.kind,
    () => "fault",
  );
  expect([outcome, steps]).toEqual([isFault ? "fault" : "refused", ["stop"]]);
});

test("a further judgement amid a content closes the content that it opened, and holds no memory behind it", async ({
  expect,
}) => {
  const { released, still, recorder, memory, steps } = contentAt();
  const later = contentAt();
  const again = new JudgedAgain(async () => {
    const { outcome } = later;
    if (outcome.kind !== "disclosed") throw new Error("a test's own mistake");
    outcome.origin.held.take(mebibyte);
    Object.assign(recorder.facts, { origin: outcome.origin });
    return outcome;
  });
  const { outcome } = await released(again);
  if (outcome.kind !== "shown" || outcome.body === undefined) throw new Error("no body");
  still.push(err({ reason: "consent_changed" }));
  const seen = [];
  for await (const _window of outcome.body) seen.push([memory(), later.memory(), ...later.steps]);
  expect(seen).toEqual([
    [3 * mebibyte, 0],
    [3 * mebibyte, 0, "stop"],
  ]);
  expect([memory(), steps]).toEqual([0, ["stop"]]);
});
