import { RowBarrier } from "#fhir/row-barrier";
import { test } from "vitest";
import { LabelsAtOrigin } from "#gateway/facts/labels-at-origin";
import { HeldBytes } from "#gateway/origin/held-bytes";
import { nothingToResolve } from "#gateway/origin/asking";
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

/** The labels of the row at a time, and the number of questions for them. */
async function labelledAt(at: number) {
  let questions = 0;
  const origin = {
    ...nothingToResolve,
    ask: async () => {
      questions += 1;
      const entry = [{ resource: encounter }];
      const text = JSON.stringify({ resourceType: "Bundle", type: "searchset", entry });
      return ok({ kind: "answered" as const, base, body: body(text) });
    },
    held: new HeldBytes(),
    barrier: new RowBarrier(),
  };
  const labels = new LabelsAtOrigin("clock", instant(at));
  const { book } = labels;
  const read = await labels.learn(book.lacking(row, base), origin);
  return [read.ok && !book.withReferred(rowLabels([]), row, base).hasUnknown, questions];
}

test("the labels of a referred resource are remembered for a minute, and no longer if the clock is set back", async ({
  expect,
}) => {
  const at = 1_000_000_000;
  expect(await labelledAt(at)).toEqual([true, 1]);
  expect([await labelledAt(at), await labelledAt(at + 59_999)], "remembered").toEqual([
    [true, 0],
    [true, 0],
  ]);
  expect(await labelledAt(at + 60_000), "asked for again").toEqual([true, 1]);
  expect(await labelledAt(at - 1_000), "the clock was set back").toEqual([true, 1]);
});
