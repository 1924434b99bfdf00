import { test } from "vitest";
import { instant } from "#kernel/clock";
import { addNotices, endNotice, noticesOf } from "#platform/cases/case-notices";
import type { RegistrySql } from "#platform/registry/registry-sql";
import { SqliteD1 } from "../support/in-process/sqlite-d1.ts";

const at = instant(1_700_000_000_000);
const caseId = "0".repeat(32);
const holder = (recipient: string, notedBy = "ada") => ({
  caseId,
  kind: "holder" as const,
  recipient,
  notedAt: at,
  notedBy,
  lastAt: at - 1,
  purposes: ["TREAT"],
});
const opened = () => new SqliteD1() as unknown as RegistrySql;
const letter = "a".repeat(64);

test("two officers who find holders at once store each holder once", async ({ expect }) => {
  const registry = opened();
  const found = [holder("payer"), holder("telehealth")];
  const added = await Promise.all([
    addNotices(registry, found),
    addNotices(
      registry,
      ["payer", "telehealth", "lab"].map((client) => holder(client, "bob")),
    ),
  ]);
  expect(
    added
      .flat()
      .map(({ recipient }) => recipient)
      .toSorted(),
  ).toEqual(["lab", "payer", "telehealth"]);
  expect((await noticesOf(registry, caseId)).map(({ recipient }) => recipient)).toEqual([
    "lab",
    "payer",
    "telehealth",
  ]);
  expect(await noticesOf(registry, "1".repeat(32)), "of another case").toEqual([]);
});

test("of two officers, or two clicks, one ends a notice, and its letter stands", async ({ expect }) => {
  const registry = opened();
  await addNotices(registry, [holder("payer")]);
  const ends = [
    { endedAt: at, endedBy: "ada", letter },
    { endedAt: at, endedBy: "bob", reason: "It has no such row." },
    { endedAt: at, endedBy: "ada", letter },
  ];
  const done = await Promise.all(ends.map((end) => endNotice(registry, holder("payer"), end)));
  expect(done).toEqual([true, false, false]);
  await addNotices(registry, [holder("payer", "bob")]);
  expect(await noticesOf(registry, caseId)).toMatchObject([
    { notedBy: "ada", endedBy: "ada", letter, reason: null },
  ]);
});

test("holders are stored all or none, and no notice ends without a letter or a reason", async ({
  expect,
}) => {
  const registry = opened();
  const broken = { ...holder("telehealth"), lastAt: null };
  await expect(addNotices(registry, [holder("payer"), broken])).rejects.toThrow();
  expect(await noticesOf(registry, caseId)).toEqual([]);
  await addNotices(registry, [holder("payer")]);
  for (const end of [
    { endedAt: at, endedBy: "ada" },
    { endedAt: at, endedBy: "ada", letter, reason: "both" },
    { endedAt: null, endedBy: null, letter },
  ])
    await expect(endNotice(registry, holder("payer"), end)).rejects.toThrow();
});
