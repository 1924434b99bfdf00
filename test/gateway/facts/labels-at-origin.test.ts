import type { JsonObject } from "#fhir/json/json";
import { RowBarrier } from "#fhir/row-barrier";
import { test } from "vitest";
import { LabelsAtOrigin } from "#gateway/facts/labels-at-origin";
import { HeldBytes } from "#gateway/origin/held-bytes";
import { nothingToResolve } from "#gateway/origin/asking";
import { instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
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
  yield ok(utf8(text));
}

const [shown, hidden] = [{}, undefined];
type Asker = ConstructorParameters<typeof LabelsAtOrigin>[0];
/** A caller who sees an Encounter, or sees none. */
const askerOf = (view: object | undefined, sum = 0): Asker => ({
  caller: {},
  grantsOf: () => [{ viewOf: () => view as never, needsOf: () => undefined, factPaths: () => [] }],
  consents: { sumOf: () => sum },
});

/** Whether the rows have known labels, and the number of questions for them. */
async function labelled(asker: Asker, at: number, rows: readonly JsonObject[] = [row]) {
  let questions = 0;
  const origin = {
    ...nothingToResolve,
    ask: async () => {
      questions += 1;
      const text = JSON.stringify({
        resourceType: "Bundle",
        type: "searchset",
        entry: [{ resource: encounter }],
      });
      return ok({ kind: "answered" as const, base, body: body(text) });
    },
    held: new HeldBytes(),
    barrier: new RowBarrier(),
    traits: async () => undefined,
  };
  const labels = new LabelsAtOrigin(asker, instant(at));
  const { book } = labels;
  const read = await labels.learn(
    rows.flatMap((each) => book.lacking(each, base)),
    origin,
  );
  const isKnown = (each: JsonObject) => read.ok && !book.withReferred(rowLabels([]), each, base).hasUnknown;
  return [...rows.map(isKnown), questions];
}

const at = 1_000_000_000;
const ofZoe = { ...row, subject: { reference: "Patient/zoe" } };
const toNone = { ...row, encounter: { reference: "Encounter/none" } };

test("the labels of a referred resource are remembered for ten seconds by caller, and no longer if the clock is set back", async ({
  expect,
}) => {
  const asker = askerOf(shown);
  expect(await labelled(asker, at)).toEqual([true, 1]);
  expect(await labelled(asker, at + 9_999), "remembered").toEqual([true, 0]);
  expect(await labelled({ ...askerOf(hidden), caller: asker.caller }, at), "by its caller").toEqual([
    true,
    0,
  ]);
  expect(await labelled(askerOf(hidden), at), "another caller").toEqual([false, 1]);
  const { caller } = asker;
  expect(await labelled({ ...askerOf(shown, 1), caller }, at), "other Consents").toEqual([true, 1]);
  expect(await labelled(asker, at + 10_000), "asked for again").toEqual([true, 1]);
  expect(await labelled(asker, at - 1_000), "the clock was set back").toEqual([true, 1]);
});

test("a referred resource that the caller may not see, one of a different patient and an absent one are remembered alike", async ({
  expect,
}) => {
  for (const [view, one] of [
    [hidden, row],
    [shown, ofZoe],
    [shown, toNone],
  ] as const) {
    const asker = askerOf(view);
    expect(await labelled(asker, at, [one])).toEqual([false, 1]);
    expect(await labelled(asker, at, [one]), "remembered").toEqual([false, 0]);
    expect(await labelled(asker, at + 10_000, [one])).toEqual([false, 1]);
  }
});

test("a resource is as absent for the rows of a different patient alone, in any order", async ({
  expect,
}) => {
  const asker = askerOf(shown);
  expect(await labelled(asker, at, [ofZoe])).toEqual([false, 1]);
  expect(await labelled(asker, at, [row, ofZoe])).toEqual([true, false, 1]);
  expect(await labelled(asker, at, [ofZoe, row])).toEqual([false, true, 0]);
});
