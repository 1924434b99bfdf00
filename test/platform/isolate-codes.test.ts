import { test } from "vitest";
import { codesPerCall, type DataSet } from "#deid/codes";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { isolateCodes } from "#platform/codes/isolate/isolate-codes";

const dataSet: DataSet = { client: "research", agreement: "dua", origin: "main", name: "cohort" };
const patients = (count: number) => Array.from({ length: count }, (_, n) => `Patient/${n}`);

/** `jobs`, and an isolate that asks it. */
function isolate() {
  const calls: (readonly string[])[] = [];
  const state = { at: instant(1_000_000), isOver: false };
  const coded = (set: DataSet, name: string) => `${set.name}:${name}`;
  const answer = <T>(texts: readonly string[], of: (text: string) => T) => {
    calls.push(texts);
    return Promise.resolve(state.isOver ? err({ reason: "data_set_ended" } as const) : ok(texts.map(of)));
  };
  const codesOf = isolateCodes(
    () => ({
      codesOf: (set, names) => answer(names, (name) => coded(set, name)),
      namesOf: (set, codes) =>
        answer(codes, (code) => (code.startsWith(`${set.name}:`) ? code.slice(set.name.length + 1) : null)),
    }),
    () => state.at,
  );
  return { calls, state, codesOf };
}

test("a code is asked for once, and the row behind it is known then", async ({ expect }) => {
  const { calls, codesOf } = isolate();
  const codes = codesOf(dataSet);
  const first = await codes.codesOf(["Patient/1", "Patient/2", "Patient/1"]);
  expect(first).toEqual(
    ok(
      new Map(
        patients(3)
          .slice(1)
          .map((name) => [name, `cohort:${name}`]),
      ),
    ),
  );
  expect(await codesOf({ ...dataSet }).codesOf(["Patient/2"])).toEqual(
    ok(new Map([["Patient/2", "cohort:Patient/2"]])),
  );
  expect(await codes.namesOf(["cohort:Patient/1"])).toEqual(ok(new Map([["cohort:Patient/1", "Patient/1"]])));
  expect(calls).toEqual([["Patient/1", "Patient/2"]]);
});

test("two data sets share no memory, and neither do codes and names", async ({ expect }) => {
  const { calls, codesOf } = isolate();
  await codesOf(dataSet).codesOf(["Patient/1"]);
  for (const other of [
    { ...dataSet, client: "x" },
    { ...dataSet, agreement: "x" },
    { ...dataSet, origin: "x" },
    { ...dataSet, name: "x" },
  ]) {
    await codesOf(other).codesOf(["Patient/1"]);
    expect(await codesOf(other).namesOf(["Patient/1"])).toEqual(ok(new Map()));
  }
  expect(calls).toHaveLength(9);
});

test("an unknown code is not remembered", async ({ expect }) => {
  const { calls, codesOf } = isolate();
  for (let n = 0; n < 2; n++) expect(await codesOf(dataSet).namesOf(["unknown"])).toEqual(ok(new Map()));
  expect(calls).toHaveLength(2);
});

test("an ended data set is over within five seconds in an isolate that knows all its codes, also under a clock that is set back", async ({
  expect,
}) => {
  const { calls, state, codesOf } = isolate();
  const codes = codesOf(dataSet);
  await codes.codesOf(["Patient/1", "Patient/2"]);
  state.isOver = true;
  state.at = instant(state.at + 5_000);
  expect((await codes.codesOf(["Patient/1"])).ok).toBe(true);
  state.at = instant(state.at + 1);
  expect(await codes.namesOf(["cohort:Patient/2"])).toEqual(err({ reason: "data_set_ended" }));
  state.at = instant(state.at - 60_000);
  expect((await codes.codesOf(["Patient/1"])).ok).toBe(false);
  expect(calls.slice(1)).toEqual([["cohort:Patient/2"], ["Patient/1"]]);
});

test("a living data set costs one small call in five seconds for what an isolate knows", async ({
  expect,
}) => {
  const { calls, state, codesOf } = isolate();
  await codesOf(dataSet).codesOf(patients(50));
  state.at = instant(state.at + 6_000);
  for (let n = 0; n < 5; n++) await codesOf(dataSet).codesOf(patients(50));
  expect(calls.map(({ length }) => length)).toEqual([50, 1]);
});

test("a client that asks for many codes drives out no code of a second client, and no client's codes grow without end", async ({
  expect,
}) => {
  const { calls, codesOf } = isolate();
  const quiet = codesOf({ ...dataSet, client: "quiet" });
  await quiet.codesOf(patients(1_000));
  const sets = Array.from({ length: 40 }, (_, n) => codesOf({ ...dataSet, name: `cohort-${n}` }));
  for (const set of sets) await set.codesOf(patients(3_000));
  const before = calls.length;
  expect((await quiet.codesOf(patients(1_000))).ok).toBe(true);
  expect(calls).toHaveLength(before);
  await sets[39]?.codesOf(patients(3_000).slice(-1_000));
  expect(calls, "the newest are remembered").toHaveLength(before);
  await sets[38]?.codesOf(patients(1));
  expect(calls, "the others are not").toHaveLength(before + 1);
});

test("sixteen clients are remembered, and the client that was silent for longest is forgotten first", async ({
  expect,
}) => {
  const { calls, codesOf } = isolate();
  const ask = (client: number) => codesOf({ ...dataSet, client: `c${client}` }).codesOf(["Patient/1"]);
  for (let client = 0; client < 16; client++) await ask(client);
  await ask(0);
  await ask(16);
  expect(calls).toHaveLength(17);
  await ask(0);
  expect(calls).toHaveLength(17);
  await ask(1);
  expect(calls).toHaveLength(18);
});

test("more names than a call takes are asked for by several, and memory has an end", async ({ expect }) => {
  const { calls, codesOf } = isolate();
  const found = await codesOf(dataSet).codesOf(patients(2 * codesPerCall + 1));
  expect(found.ok && found.value.size).toBe(2 * codesPerCall + 1);
  expect(calls.map(({ length }) => length)).toEqual([codesPerCall, codesPerCall, 1]);
  await codesOf(dataSet).codesOf(["Patient/0"]);
  expect(calls).toHaveLength(4);
});
