import { randomBytes } from "node:crypto";
import { test } from "vitest";
import { readKeyList, type KeyList } from "#kernel/key-list";
import { SealedNames } from "#platform/codes/object/sealed-names";

const key = () => randomBytes(32).toString("base64url");
const list = (...keys: readonly string[]): KeyList => {
  const read = readKeyList(keys.join(" "));
  if (read === undefined) throw new Error("not keys");
  return read;
};
const [old, next] = [key(), key()];
const place = '["research","dua","main","cohort"]';
const batch = randomBytes(16).toString("hex");

test("a data set opens under each listed key, and under no other key or name", ({ expect }) => {
  const wrapped = SealedNames.newKey(list(old), place);
  const box = SealedNames.underKey(list(old), place, wrapped).sealNames(batch, ["Patient/amara"]);
  for (const keys of [list(old, next), list(next, old)])
    expect(SealedNames.underKey(keys, place, wrapped).openNames(batch, box)).toEqual(["Patient/amara"]);
  const anew = SealedNames.wrappedAnew(list(next, old), place, wrapped);
  expect(SealedNames.underKey(list(next), place, anew).openNames(batch, box)).toEqual(["Patient/amara"]);
  expect(() => SealedNames.underKey(list(next), place, wrapped)).toThrow("CODES_KEY");
  expect(() => SealedNames.underKey(list(old), `${place} `, wrapped)).toThrow("CODES_KEY");
});

test("names open at their own batch alone, and no data set has another's hash of it", ({ expect }) => {
  const made = () => SealedNames.underKey(list(old), place, SealedNames.newKey(list(old), place));
  const [one, two] = [made(), made()];
  const box = one.sealNames(batch, ["Patient/amara"]);
  expect(() => one.openNames(randomBytes(16).toString("hex"), box)).toThrow("do not open");
  expect(() => two.openNames(batch, box)).toThrow("do not open");
  expect(one.nameHash("Patient/amara")).toEqual(one.nameHash("Patient/amara"));
  expect(one.nameHash("Patient/amara")).not.toEqual(two.nameHash("Patient/amara"));
  expect(one.nameHash("Patient/amara")).not.toEqual(one.nameHash("Patient/amar"));
});
