import { randomBytes } from "node:crypto";
import { test } from "vitest";
import { readKeyList } from "#kernel/key-list";

const key = () => randomBytes(32).toString("base64url");

test("a list of keys has one to eight different keys of 32 bytes, separated by single spaces", ({
  expect,
}) => {
  const [a, b] = [key(), key()];
  expect(readKeyList(a)?.map((each) => Buffer.from(each.reveal()).toString("base64url"))).toEqual([a]);
  expect(readKeyList(`${a} ${b}`)).toHaveLength(2);
  expect(readKeyList(Array.from({ length: 8 }, key).join(" "))).toHaveLength(8);
  const short = randomBytes(31).toString("base64url");
  for (const bad of ["", short, `${a} ${short}`, `${a}  ${b}`, ` ${a}`, `${a} ${a}`, `${a}=`, `${a},${b}`])
    expect(readKeyList(bad), bad).toBeUndefined();
  expect(readKeyList(Array.from({ length: 9 }, key).join(" "))).toBeUndefined();
});
