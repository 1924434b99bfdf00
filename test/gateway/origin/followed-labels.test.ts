import { RowBarrier } from "#fhir/row-barrier";
import { test } from "vitest";
import { FollowedLabels } from "#gateway/origin/followed-labels";
import { HeldBytes } from "#gateway/origin/held-bytes";
import { instant } from "#kernel/clock";
import { ok } from "#kernel/result";
import { rowLabels } from "#policy/sensitivity/row-labels";

const base = "https://origin.internal/fhir";
const encounter = { resourceType: "Encounter", id: "e", subject: { reference: "Patient/ann" } };
const row = {
  resourceType: "Observation",
  subject: encounter.subject,
  encounter: { reference: "Encounter/e" },
};

async function* body(text: string) {
  yield ok(new TextEncoder().encode(text));
}
const origin = {
  ask: async () =>
    ok({
      kind: "answered" as const,
      base,
      body: body(
        JSON.stringify({ resourceType: "Bundle", type: "searchset", entry: [{ resource: encounter }] }),
      ),
    }),
  held: new HeldBytes(),
  barrier: new RowBarrier(),
};

test("the labels of a referred resource are remembered for a minute, and no longer if the clock is set back", async ({
  expect,
}) => {
  const at = instant(1_000_000_000);
  const asksAgain = (later: number) =>
    new FollowedLabels("clock", instant(at + later)).book.withReferred(rowLabels([]), row, base).hasUnknown;
  const first = new FollowedLabels("clock", at);
  expect(first.book.withReferred(rowLabels([]), row, base).hasUnknown).toBe(true);
  expect((await first.learn(origin)).ok).toBe(true);
  expect([0, 59_999, 60_000, -1_000, -3_600_000].map(asksAgain)).toEqual([false, false, true, true, true]);
});
