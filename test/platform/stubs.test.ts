import { expect, test } from "vitest";
import { readLayout } from "#ledger/layout";
import { guardStub } from "#platform/guard/isolate/guard-stub";
import { regionlessStubs, logStubs } from "#platform/ledger/client/stubs";

/** A namespace that lists the calls for its objects. */
function listing() {
  const calls: unknown[][] = [];
  const within = (place: string) => ({
    getByName: (name: string, options?: unknown) => void calls.push([place, name, options]),
    jurisdiction: (name: string) => within(name),
  });
  return { calls, namespace: within("anywhere") as never };
}
const layout = (() => {
  const read = readLayout("weur:2; 2027h1 enam:2", 2);
  if (!read.ok) throw new Error(read.error);
  return read.value;
})();
const logs = ["s1-2026h2", "s1-2027h1", "root"] as const;

test("a log is called with the hint of its region in its half-year, in the ledger's jurisdiction", () => {
  const { calls, namespace } = listing();
  for (const log of logs) logStubs(namespace, { layout, jurisdiction: undefined })(log);
  for (const log of logs) logStubs(namespace, { layout, jurisdiction: "eu" })(log);
  const hints = [{ locationHint: "weur" }, { locationHint: "enam" }, { locationHint: "weur" }];
  expect(calls).toEqual(["anywhere", "eu"].flatMap((place) => logs.map((log, i) => [place, log, hints[i]])));
});

test("without regions nothing but the name is given", () => {
  const { calls, namespace } = listing();
  logStubs(namespace, { layout: { shards: 2, periods: [] }, jurisdiction: undefined })("s1-2026h2");
  expect(calls).toEqual([["anywhere", "s1-2026h2", undefined]]);
});

test("shelves and intakes are in the ledger's jurisdiction, without a hint", () => {
  const { calls, namespace } = listing();
  regionlessStubs(namespace, { layout, jurisdiction: "us" })("5e1");
  expect(calls).toEqual([["us", "5e1", undefined]]);
});

test("a guard is called with the hint of its client's home, if it has one", () => {
  const { calls, namespace } = listing();
  guardStub(namespace, "app", "enam");
  guardStub(namespace, "app 3", undefined);
  expect(calls).toEqual([
    ["anywhere", "app", { locationHint: "enam" }],
    ["anywhere", "app 3", undefined],
  ]);
});
