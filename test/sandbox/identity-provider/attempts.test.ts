import { test } from "vitest";
import { Attempts } from "../../../sandbox/identity-provider/attempts.ts";

test("after three attempts a name waits four seconds, then each doubles the wait, up to a quarter of an hour", ({
  expect,
}) => {
  const attempts = new Attempts();
  for (let i = 0; i < 2; i++) expect(attempts.begin("somebody", 0)).toBe(0);
  let at = 0;
  const waits: number[] = [];
  for (let i = 0; i < 13; i++) {
    expect(attempts.begin("somebody", at)).toBe(0);
    const wait = attempts.begin("somebody", at);
    waits.push(wait);
    expect(attempts.begin("somebody", at + wait * 1000 - 1), "a millisecond too early").toBe(1);
    at += wait * 1000;
  }
  expect(waits).toEqual([4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]);
});

test("simultaneous attempts get no more checks than attempts in sequence", ({ expect }) => {
  const attempts = new Attempts();
  expect(
    Array.from({ length: 100 }, () => attempts.begin("somebody", 5)).filter((wait) => wait === 0),
  ).toHaveLength(3);
});

test("a name's waiting is its own, and ends with the right password", ({ expect }) => {
  const attempts = new Attempts();
  for (let i = 0; i < 3; i++) attempts.begin("somebody", 0);
  expect(attempts.begin("somebody", 0)).toBe(4);
  expect(attempts.begin("somebody else", 0)).toBe(0);
  attempts.succeeded("somebody");
  expect(attempts.begin("somebody", 0)).toBe(0);
});
