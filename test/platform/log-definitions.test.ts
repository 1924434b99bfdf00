import { test } from "vitest";
import { type Definition, define } from "#audit/definition";
import { instant } from "#kernel/clock";
import { draftAppend } from "#platform/ledger/object/append/draft";
import { howManyFit } from "#platform/ledger/object/append/batch";
import { LogDefinitions } from "#platform/ledger/object/append/definitions";
import { Secret } from "#kernel/secret";

const now = instant(1_800_000_000_000);
const listOf = (...value: readonly string[]) => define({ type: "withheld-paths", value });
const find = (log: LogDefinitions, ...definitions: readonly Definition[]) =>
  log.find(
    definitions.map(({ digest }) => digest),
    definitions.map(({ content }) => content),
    now,
  );

test("a gateway that sends new content each time makes a log forget the definition that was named longest ago, and never refuse", ({
  expect,
}) => {
  const log = new LogDefinitions();
  const [old, used] = [listOf("old"), listOf("used")];
  find(log, old, used);
  for (let n = 0; n < 1_023; n++) {
    expect(find(log, listOf(`path-${n}`))).toHaveLength(1);
    if (n === 500) expect(log.find([used.digest], undefined, now)).toHaveLength(1);
  }
  expect(log.find([old.digest], undefined, now)).toBeUndefined();
  expect(log.find([used.digest], undefined, now)).toHaveLength(1);
  const large = (n: number) => listOf(...Array.from({ length: 1_000 }, () => `${n}`.padEnd(400, "x")));
  for (let n = 0; n < 6; n++) expect(find(log, large(n))).toHaveLength(1);
  expect(log.find([used.digest], undefined, now), "2 MiB are full").toBeUndefined();
  expect(log.find([large(0).digest], undefined, now)).toBeUndefined();
  expect(log.find([large(5).digest], undefined, now)).toHaveLength(1);
});

test("a definition stands in the key epoch that wrote it alone; a log that wrote 4,096 forgets and writes some of them again", ({
  expect,
}) => {
  const log = new LogDefinitions();
  const first = listOf("first");
  log.wrote([first], 1);
  expect([log.isWritten(first.digest, 1), log.isWritten(first.digest, 2)]).toEqual([true, false]);
  log.wrote([], 2);
  expect([log.isWritten(first.digest, 1), log.isWritten(first.digest, 2)]).toEqual([false, false]);
  log.wrote([first], 2);
  for (let n = 0; n < 4_096; n++) log.wrote([{ digest: String(n), content: first.content }], 2);
  expect([log.isWritten(first.digest, 2), log.isWritten("4095", 2)]).toEqual([false, true]);
});

test("a frame has room for the definitions that its appends name and its epoch lacks, each counted once", ({
  expect,
}) => {
  const log = new LogDefinitions();
  const draft = draftAppend(
    [{ id: "a".repeat(32), at: now, kind: "refusal", patients: [], unnamed: [], counts: {} }],
    new Secret(new Uint8Array(32)),
  );
  const long = Array.from({ length: 1_000 }, () => "x".repeat(400));
  const [one, other, third] = [1, 2, 3].map((n) => listOf(...long.slice(n))) as [
    Definition,
    Definition,
    Definition,
  ];
  const waiting = [one, one, other, third].map((definition) => ({
    draft,
    definitions: find(log, definition) ?? [],
  }));
  // Two of 400 KB fit a frame of 1 MiB.
  expect(howManyFit(waiting, () => false)).toBe(3);
  expect(howManyFit(waiting, (digest) => digest === one.digest)).toBe(4);
});
