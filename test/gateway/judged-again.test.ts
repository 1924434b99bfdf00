import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { err, ok } from "#kernel/result";
import { JudgedAgain } from "#gateway/judged-again";
import type { Outcome } from "#gateway/outcome";
import type { DisclosedWindow } from "#phi/disclosure";

/** A list in windows: each window has the rows of a text. */
function listOf(...windows: readonly string[]): { readonly windows: readonly DisclosedWindow[] } {
  const entries = windows.map((rows) => rows.split("").map((id) => JSON.stringify({ resource: { id } })));
  return {
    windows: entries.map((texts, n) => ({
      body: Uint8Array.from(
        utf8(
          `${n === 0 ? '{"entry":[' : ","}${texts.join()}${n === entries.length - 1 ? '],"link":[]}' : ""}`,
        ),
      ),
      patients: [],
      unnamed: [],
      counts: { Observation: texts.length },
      records: texts.length,
      withheldResources: 0,
      unseen: [],
      room: { names: 0, unnamed: [], counts: {} },
    })),
  };
}
const changed = err({ reason: "consent_changed" } as const);

/** Whether the second window leaves after these answers of the gate, and how often the question was judged again. */
async function letsLeave(answers: readonly boolean[], now: ReturnType<typeof listOf>) {
  let judged = 0;
  const again = new JudgedAgain(async () => {
    judged += 1;
    return { kind: "disclosed", disclosure: now } as unknown as Outcome; // the gate and the question are not asked
  });
  const left = [...answers];
  const gate = { stillGood: async () => (left.shift() === true ? ok(undefined) : changed) };
  return [await again.letsLeave(listOf("ab", "cd", "e"), 1, gate), judged];
}

test("the rest of an answer leaves if each of its entries leaves by the Consents of now, whatever they say of more rows and of those that have left", async ({
  expect,
}) => {
  expect(await letsLeave([true], listOf("z")), "no change").toEqual([true, 0]);
  expect(await letsLeave([false, true], listOf("abcde")), "the same rows").toEqual([true, 1]);
  expect(await letsLeave([false, true], listOf("axbcyd", "ez")), "more rows").toEqual([true, 1]);
  expect(await letsLeave([false, true], listOf("cde")), "rows that have left").toEqual([true, 1]);
  expect(await letsLeave([false, true], listOf("abce")), "a row that is still to leave").toEqual([false, 1]);
  expect(await letsLeave([false, false], listOf("abcde")), "a change amid the judgement").toEqual([false, 1]);
});

test("a request is judged again three times at most, and only after a change of Consents", async ({
  expect,
}) => {
  let judged = 0;
  const again = new JudgedAgain(async () => {
    judged += 1;
    return { kind: "refused", refusal: { reason: "absent" } };
  });
  expect(await again.after({ reason: "consents_unavailable" })).toBeUndefined();
  const outcomes = [];
  for (let n = 0; n < 5; n += 1) outcomes.push(await again.after({ reason: "consent_changed" }));
  expect([judged, outcomes.filter((each) => each !== undefined).length]).toEqual([3, 3]);
});
