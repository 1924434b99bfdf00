import * as fc from "fast-check";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import {
  changeCase,
  confirmCase,
  endStatement,
  listCases,
  noteStatement,
  receiveCases,
  removeStatement,
  settleCases,
  statementsFiled,
  voidCase,
} from "#platform/cases/case-rows";
import { CaseStatement } from "#platform/cases/case-statements";
import type { RegistrySql } from "#platform/registry/registry-sql";
import { SqliteD1 } from "../support/in-process/sqlite-d1.ts";

const at = instant(1_700_000_000_000);
const minute = 60_000;

const receipt = { requestId: "0".repeat(32), at, client: "app", origin: "main" };

/** A registry with an open case. */
async function opened() {
  const registry = new SqliteD1() as unknown as RegistrySql;
  const write = { patient: "Patient/1", of: [], rows: ["Observation/1"], index: 0, type: "Communication" };
  await receiveCases(registry, receipt, [write]);
  const caseNow = async () => {
    const [row] = await listCases(registry, { state: "all" });
    return row;
  };
  return { registry, caseNow, write, id: (await caseNow())?.id ?? "" };
}

const denial = {
  decidedAt: at,
  decidedBy: "ada",
  decision: "denied",
  reasons: ["accurate-and-complete"],
  denialLetter: "0".repeat(64),
} as const;

test("an officer ends no case whose request may be under way", async ({ expect }) => {
  const { registry, caseNow, id } = await opened();
  const early = instant(at + 10 * minute - 1);
  expect(await voidCase(registry, id, early)).toBe(false);
  expect(await confirmCase(registry, id, "Communication/1", early)).toBe(false);
  expect(await caseNow()).toMatchObject({ id, resource: null });
  expect(await voidCase(registry, id, instant(at + 10 * minute))).toBe(true);
  expect(await caseNow()).toBeUndefined();
});

test("a request that is stored after all opens its void case again, and a message of a known case opens none", async ({
  expect,
}) => {
  const { registry, caseNow, write, id } = await opened();
  const stored = { ...write, end: "stored", storedId: "1" };
  await voidCase(registry, id, instant(at + 10 * minute));
  await settleCases(registry, receipt, [stored]);
  expect(await caseNow()).toMatchObject({ id, receivedAt: at, resource: "Communication/1" });
  const later = { ...stored, of: ["Communication/1"], storedId: "2" };
  await settleCases(registry, { ...receipt, requestId: "1".repeat(32) }, [later]);
  expect(await listCases(registry, { state: "all" })).toHaveLength(1);
});

test("statements that arrive at once are all noted, a repeat notes none twice, and a crash leaves each without its place", async ({
  expect,
}) => {
  const { registry, caseNow, write, id } = await opened();
  await settleCases(registry, receipt, [{ ...write, end: "stored", storedId: "1" }]);
  await changeCase(registry, id, denial);
  const arrival = (digit: string) => ({ ...receipt, requestId: digit.repeat(32) });
  const said = { ...write, of: ["Communication/1"], isDisagreement: true };
  const say = (digit: string) => receiveCases(registry, arrival(digit), [said]);
  await Promise.all(["1", "2", "3"].map(say));
  await say("1");
  const ended = (digit: string, end: string, storedId?: string) =>
    settleCases(registry, arrival(digit), [{ ...said, end, storedId }]);
  await Promise.all([ended("1", "stored", "7"), ended("2", "not stored")]);
  await ended("1", "stored", "7");
  expect((await caseNow())?.disagreements).toEqual({
    [`${"1".repeat(32)}/0`]: { at, resource: "Communication/7" },
    [`${"3".repeat(32)}/0`]: { at, resource: null },
  });
  expect((await listCases(registry, { state: "open" })).map((each) => each.id)).toEqual([id]);
  expect(await receiveCases(registry, arrival("4"), [said], 2)).toBe("too_many");
});

test("of two statements of a case the first is filed alone, and a repeat finishes what a crash left", async ({
  expect,
}) => {
  const { registry, caseNow, id } = await opened();
  await changeCase(registry, id, denial);
  const of = (summary: string, statedAt: typeof at | null) => {
    const statement = { kind: "disagreement", rows: ["Observation/1"], summary, messages: [] } as const;
    return { statedAt, statedBy: "ada", statement };
  };
  expect(await noteStatement(registry, id, of("one", null))).toBe(true);
  expect(await noteStatement(registry, id, of("other", null)), "while the first is filed").toBe(false);
  expect(await noteStatement(registry, id, of("other", at))).toBe(false);
  expect(await noteStatement(registry, id, of("one", null)), "after a crash").toBe(true);
  expect(await noteStatement(registry, id, of("one", at))).toBe(true);
  expect(await noteStatement(registry, id, of("one", null)), "once").toBe(false);
  expect(await caseNow()).toMatchObject(of("one", at));

  await endStatement(registry, id);
  expect(await noteStatement(registry, id, of("one", at)), "while it is withdrawn").toBe(false);
  await removeStatement(registry, id);
  expect(await caseNow()).toMatchObject({ statedAt: null, statement: null });
  expect(
    await statementsFiled(registry, "main", "Patient/1"),
    "a withdrawn statement is refiled under a new key",
  ).toEqual([`statement/${id}`]);
  expect(await noteStatement(registry, id, of("other", null))).toBe(true);
});

test("whatever two officers file and withdraw at once, the rows carry what the case says afterwards", async ({
  expect,
}) => {
  const slow = fc.array(fc.nat(12), { minLength: 12, maxLength: 12 });
  const acts = fc.array(fc.constantFrom("one", "other", undefined), { minLength: 2, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(acts, slow, slow, async (all, before, after) => {
      const { registry, caseNow, id } = await opened();
      await changeCase(registry, id, denial);
      let filed: string | undefined;
      const yieldFor = async (turns = 0) => {
        for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
      };
      let calls = 0;
      const statement = () =>
        new CaseStatement(registry, id, async (_case, { statement }) => {
          const call = calls++ % 12;
          await yieldFor(before[call]);
          filed = statement?.summary;
          await yieldFor(after[call]);
        });
      const done = await Promise.all(
        all.map(async (summary, index) => {
          await yieldFor(before[index]);
          const rows = { kind: "disagreement", rows: ["Observation/1"], messages: [] } as const;
          return summary === undefined
            ? await statement().unstate()
            : await statement().state({ ...rows, summary }, summary, () => at);
        }),
      );
      const now = await caseNow();
      expect([filed, now?.statedAt === at]).toEqual([now?.statement?.summary, now?.statement !== null]);
      if (!all.includes(undefined)) expect(done).toContain(true);
    }),
    { numRuns: 60 },
  );
});
