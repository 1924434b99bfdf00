import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, test, vi } from "vitest";
import { codeForm, codesPerCall, type DataSet } from "#deid/codes";
import { placeOf } from "#platform/codes/object/data-set-codes";
import { failure } from "../../support/failure.ts";
import { agreements } from "./worker.ts";

const books = env.DATA_SET_CODES;
const day = 86_400_000;
const start = Date.parse("2026-11-24T10:15:00Z");

let sets = 0;
/** A data set of its own for each test. */
const dataSet = (other: Partial<DataSet> = {}): DataSet => ({
  client: "research",
  agreement: "dua",
  origin: "main",
  name: `cohort-${++sets}`,
  ...other,
});
const bookOf = (set: DataSet) => books.getByName(placeOf(set));
const codesOf = async (set: DataSet, names: readonly string[]): Promise<readonly string[]> => {
  const answer = await bookOf(set).codesOf(set, names);
  if (!answer.ok) throw new Error(answer.error.reason);
  return answer.value;
};
const namesOf = async (set: DataSet, codes: readonly string[]): Promise<readonly (string | null)[]> => {
  const answer = await bookOf(set).namesOf(codes);
  if (!answer.ok) throw new Error(answer.error.reason);
  return answer.value;
};
const isOver = async (set: DataSet) => {
  const answers = [
    await bookOf(set).codesOf(set, ["Patient/a"]),
    await bookOf(set).namesOf(["0".repeat(32)]),
  ];
  return answers.every((answer) => !answer.ok);
};
/** All that the object has in its storage, each value as hex. */
const stored = (set: DataSet): Promise<string> =>
  runInDurableObject(bookOf(set), (_, { storage: { sql } }) => {
    const tables = sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
      .toArray();
    return tables
      .filter(({ name }) => !name.startsWith("_cf"))
      .map(({ name }) =>
        sql
          .exec(`SELECT * FROM ${name}`)
          .toArray()
          .map((row) =>
            Object.entries(row).map(([column, value]) => {
              const bytes = value instanceof ArrayBuffer ? Buffer.from(value) : Buffer.from(String(value));
              return `${column}=${bytes.toString("latin1")}`;
            }),
          )
          .join("\n"),
      )
      .join("\n");
  });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: start });
  agreements.clear();
  agreements.set("dua", start + 100 * day);
});
afterEach(() => void vi.useRealTimers());

const names = ["Patient/amara", "Observation/1", "Patient/ben", "Patient/amara"];

test("two recipients, two agreements, two origins and two names share no code, and within each a row has one code", async ({
  expect,
}) => {
  const one = dataSet();
  const sets = [
    one,
    { ...one, client: "other" },
    { ...one, agreement: "other" },
    { ...one, origin: "other" },
    { ...one, name: "other" },
  ];
  const all = [];
  for (const set of sets) {
    const codes = await codesOf(set, names);
    expect(codes).toHaveLength(4);
    for (const code of codes) expect(code).toMatch(codeForm);
    expect(codes[3]).toBe(codes[0]);
    expect(await codesOf(set, names.toReversed())).toEqual(codes.toReversed());
    expect(await namesOf(set, codes)).toEqual(names);
    all.push(...new Set(codes));
  }
  expect(new Set(all).size).toBe(15);
});

test("a text that is no code of the data set names no row: an original id, a code of another set, another spelling", async ({
  expect,
}) => {
  const [mine, theirs] = [dataSet(), dataSet({ client: "other" })];
  const [code = ""] = await codesOf(mine, ["Patient/amara"]);
  const [foreign = ""] = await codesOf(theirs, ["Patient/amara"]);
  const asked = ["amara", "Patient/amara", foreign, code.toUpperCase(), `${code}0`, "", code];
  expect(await namesOf(mine, asked)).toEqual([null, null, null, null, null, null, "Patient/amara"]);
});

test("a question about a data set that never began leaves nothing in storage", async ({ expect }) => {
  const set = dataSet();
  expect(await namesOf(set, ["0".repeat(32)])).toEqual([null]);
  expect(await bookOf(set).end()).toBe(false);
  expect(await stored(set)).toBe("");
});

test("a restarted object has the same codes, and fifty calls side by side make one code for a name", async ({
  expect,
}) => {
  const set = dataSet();
  const answers = await Promise.all(Array.from({ length: 50 }, () => codesOf(set, names)));
  for (const answer of answers) expect(answer).toEqual(answers[0]);
  await evictDurableObject(bookOf(set));
  expect(await codesOf(set, names)).toEqual(answers[0]);
  expect(await namesOf(set, answers[0] ?? [])).toEqual(names);
});

test("at rest no name stands in the clear, nor the order or time of a code", async ({ expect }) => {
  const set = dataSet();
  const many = Array.from({ length: 200 }, (_, n) => `Patient/person-${n}`);
  const codes = await codesOf(set, many);
  const text = await stored(set);
  expect(text).toContain("cohort-");
  expect(text).toContain(Buffer.from(codes[0] ?? "", "hex").toString("latin1"));
  expect(text).not.toContain("person-");
  expect(codes.toSorted()).not.toEqual(codes);
  const order = await runInDurableObject(bookOf(set), (_, { storage: { sql } }) =>
    sql
      .exec<{ code: ArrayBuffer }>("SELECT code FROM codes")
      .toArray()
      .map(({ code }) => Buffer.from(code).toString("hex")),
  );
  expect(order).toEqual(codes.toSorted());
});

test("a call takes 5,000 names, and no more", async ({ expect }) => {
  const set = dataSet();
  const many = Array.from({ length: codesPerCall }, (_, n) => `Observation/${n}`);
  const codes = await codesOf(set, many);
  expect(new Set(codes).size).toBe(codesPerCall);
  expect(await codesOf(set, many)).toEqual(codes);
  expect(await namesOf(set, codes)).toEqual(many);
  expect(await failure(() => codesOf(set, [...many, "Observation/-"]))).toContain("too many codes");
  expect(await failure(() => namesOf(set, [...codes, "-"]))).toContain("too many codes");
});

test("a question for a code opens the names of few rows, however many were named with it", async ({
  expect,
}) => {
  const set = dataSet();
  const id = "x".repeat(64);
  await codesOf(
    set,
    Array.from({ length: codesPerCall }, (_, n) => `Observation/${n}${id}`.slice(0, 76)),
  );
  const sizes = await runInDurableObject(bookOf(set), (_, { storage: { sql } }) =>
    sql.exec<{ bytes: number }>("SELECT length(box) AS bytes FROM boxes").toArray(),
  );
  expect(Math.max(...sizes.map(({ bytes }) => bytes))).toBeLessThan(6_000);
});

test("an ended data set has no code and no key in storage, and never begins again", async ({ expect }) => {
  const set = dataSet();
  await codesOf(set, names);
  const before = await stored(set);
  expect(await bookOf(set).end()).toBe(true);
  const after = await stored(set);
  for (const part of ["code=", "name_hash=", "batch="]) {
    expect(before).toContain(part);
    expect(after).not.toContain(part);
  }
  expect(before).not.toMatch(/box=\0+,/u);
  expect(after).toMatch(/salt=\0+,box=\0+,/u);
  expect(await isOver(set)).toBe(true);
  expect(await bookOf(set).end()).toBe(false);
  await evictDurableObject(bookOf(set));
  expect(await isOver(set)).toBe(true);
});

test("a data set ends a week after its agreement, by itself", async ({ expect }) => {
  const set = dataSet();
  const codes = await codesOf(set, names);
  for (const [at, lasts] of [
    [start + day, true],
    [start + 106 * day, true],
    [start + 107 * day, false],
  ] as const) {
    vi.setSystemTime(at);
    expect(await runDurableObjectAlarm(bookOf(set))).toBe(true);
    expect(await isOver(set)).toBe(!lasts);
    if (lasts) expect(await codesOf(set, names)).toEqual(codes);
  }
  expect(await runDurableObjectAlarm(bookOf(set))).toBe(false);
});

test("an agreement that is absent from the registry ends its data set after a week, unless it comes back", async ({
  expect,
}) => {
  const set = dataSet();
  await codesOf(set, names);
  const ring = async (days: number) => {
    vi.setSystemTime(start + days * day);
    await runDurableObjectAlarm(bookOf(set));
    return await isOver(set);
  };
  agreements.clear();
  expect([await ring(1), await ring(7)]).toEqual([false, false]);
  agreements.set("dua", start + 100 * day);
  expect(await ring(8)).toBe(false);
  agreements.clear();
  expect([await ring(9), await ring(15)]).toEqual([false, false]);
  expect(await ring(16)).toBe(true);
});

test("a registry that does not answer ends no data set, and the next day asks again", async ({ expect }) => {
  const set = dataSet();
  const codes = await codesOf(set, names);
  agreements.set("dua", "down");
  vi.setSystemTime(start + 200 * day);
  await failure(() => runDurableObjectAlarm(bookOf(set)));
  expect(await codesOf(set, names)).toEqual(codes);
  agreements.set("dua", start + 100 * day);
  await runDurableObjectAlarm(bookOf(set));
  expect(await isOver(set)).toBe(true);
});
