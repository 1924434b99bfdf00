import { test } from "vitest";
import { endOfTry } from "#doors/bulk/try-bundle";
import type { GatewayRefusal } from "#gateway/outcome";
import type { ReleasedOutcome } from "#gateway/release";

const hour = 3_600_000;
const refused = (refusal: GatewayRefusal): ReleasedOutcome => ({ kind: "refused", refusal });
const batch = (...entries: Extract<ReleasedOutcome, { kind: "batch" | "transaction" }>["entries"]) =>
  ({ kind: "batch", entries, doneText: undefined }) as const;
const busy = (retryAfterSeconds: number) => ({ reason: "origin_busy", retryAfterSeconds }) as const;
const end = (outcome: ReleasedOutcome, { number = 1, left = hour } = {}) =>
  endOfTry(outcome, "a".repeat(32), number, left);

test.for<readonly [GatewayRefusal, number]>([
  [busy(5), 5],
  [{ reason: "idempotency_key_in_use", retryAfterSeconds: 3 }, 3],
  [{ reason: "fault", retryAfterSeconds: 2 }, 2],
  [{ reason: "write_outcome_unknown" }, 1],
])("$0.reason passes: the bundle is tried again", ([refusal, seconds], { expect }) => {
  expect(end(refused(refusal))).toEqual({ kind: "again", reason: refusal.reason, seconds });
  const done = { status: 201 };
  expect(end(batch(done, { status: 503, refusal: refusal as never }))).toMatchObject({ kind: "again" });
});

test.for<GatewayRefusal>([
  { reason: "outcome_unknown" },
  { reason: "authority_ended" },
  { reason: "idempotency_key_reused" },
  { reason: "body_too_large" },
])("$reason is final", (refusal, { expect }) => {
  expect(end(refused(refusal)).kind).toBe("done");
});

test("tries without a stated time are at most a minute apart", ({ expect }) => {
  const waits = [1, 2, 3, 6, 7, 60].map((number) =>
    end(refused({ reason: "write_outcome_unknown" }), { number }),
  );
  expect(waits.map((each) => (each.kind === "again" ? each.seconds : 0))).toEqual([1, 2, 4, 32, 60, 60]);
});

test("the entry that may be tried first says when; no try is set behind the end of the hour", ({
  expect,
}) => {
  const entries = [30, 5, 86_400].map((seconds) => ({ status: 503, refusal: busy(seconds) }));
  expect(end(batch(...entries))).toMatchObject({ kind: "again", seconds: 5 });
  expect(end(batch(...entries), { left: 6_000 })).toMatchObject({ kind: "again", seconds: 5 });
  expect(end(batch(...entries), { left: 5_000 }).kind).toBe("done");
  expect(end(refused(busy(86_400))).kind).toBe("done");
});

test("the answer is a batch-response of one entry, with the answer or the refusal", ({ expect }) => {
  const answerOf = (outcome: ReleasedOutcome): unknown => {
    const ended = end(outcome, { left: 0 });
    return ended.kind === "done" && JSON.parse(ended.answer);
  };
  const whole = { resourceType: "Bundle", type: "batch-response" };
  expect(answerOf({ ...batch({ status: 201 }), kind: "transaction" })).toEqual({
    ...whole,
    entry: [
      {
        resource: {
          resourceType: "Bundle",
          type: "transaction-response",
          entry: [{ response: { status: "201" } }],
        },
        response: { status: "200" },
      },
    ],
  });
  const issues = [
    { severity: "error", code: "value", text: "A fault.", expression: "Bundle.entry[0]" },
  ] as const;
  expect(answerOf(refused({ reason: "transaction_incomplete", issues }))).toMatchObject({
    ...whole,
    entry: [
      {
        response: {
          status: "502",
          outcome: { resourceType: "OperationOutcome", issue: [{ expression: ["Bundle.entry[0]"] }] },
        },
      },
    ],
  });
});
