import * as fc from "fast-check";
import { test } from "vitest";
import { repeatsMember } from "#identity/jose/repeated-member";

test.for([
  '{"a":1,"a":2}',
  '{"a":1,"\\u0061":2}',
  '{"x":{"a":1,"a":1}}',
  '[{"a":[{"b":1,"c":"}","b":2}]}]',
  '{"cnf":{"x5t#S256":"a"},"sub":"b","cnf":{}}',
  '{"a":"\\"","a":"\\\\"}',
  '{"__proto__":1,"__proto__":2}',
])("T14: %s names a member twice", (json, { expect }) => {
  expect(repeatsMember(json)).toBe(true);
});

test("a value with unique names has no repeated member, whatever its strings contain", () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom(undefined, 2),
      (value, indent) => !repeatsMember(JSON.stringify(value, undefined, indent)),
    ),
  );
});
