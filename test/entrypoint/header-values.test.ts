import { expect, test } from "vitest";
import { HeaderValues } from "#entrypoint/header-values";

test("header values are those of the runtime's Headers, by name and in turn", () => {
  const headers = new Headers([
    ["Accept", "application/fhir+json"],
    ["DPoP", "one"],
    ["dpop", "two"],
    ["Prefer", ""],
    ["set-cookie", "a"],
    ["set-cookie", "b"],
  ]);
  const values = new HeaderValues(headers);
  for (const name of ["accept", "dpop", "prefer", "set-cookie", "authorization", "constructor"]) {
    expect(values.get(name)).toBe(headers.get(name));
    expect(values.has(name)).toBe(headers.has(name));
  }
  expect(Array.from(values, ([name]) => name)).toEqual([...new Set(headers.keys())]);
});
