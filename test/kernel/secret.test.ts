import { inspect } from "node:util";
import { test } from "vitest";
import { Secret } from "#kernel/secret";

test("a secret shows itself in no printed form", ({ expect }) => {
  const secret = new Secret("hunter2");
  const printed = [
    String(secret),
    secret.toString(),
    JSON.stringify({ secret }),
    inspect({ secret }, { depth: 9, showHidden: true }),
  ];
  for (const text of printed) expect(text).not.toContain("hunter2");
  expect(secret.reveal()).toBe("hunter2");
});
