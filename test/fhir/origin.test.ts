import { test } from "vitest";
import { originName } from "#fhir/origin";
import { readRegistry } from "#registry/read";

test("the registry accepts exactly the names of origins that an address of the API can have", ({
  expect,
}) => {
  const isName = new RegExp(`^${originName}$`, "u");
  const names = [
    "a",
    "main",
    "a-1",
    "a".repeat(32),
    "a".repeat(33),
    "a".repeat(63),
    "",
    "A",
    "1a",
    "a_b",
    "a.b",
    "-a",
  ];
  for (const name of names) {
    const origin = { name, url: "https://fhir.example/r4", credentials: { kind: "none" } };
    const read = readRegistry({ origins: [origin] }, "https://gateway.example");
    expect(read.ok, name).toBe(isName.test(name));
  }
  expect(names.filter((name) => isName.test(name))).toEqual(["a", "main", "a-1", "a".repeat(32)]);
});
