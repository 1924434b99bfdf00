import { expect, test } from "vitest";
import { readOptions } from "../../sandbox/options.ts";
import { hints } from "../../sandbox/hints.ts";

const ledger = "http://localhost:8444";

test("the hints after a start without --state need no --state: the default folder is the command's too", () => {
  expect(readOptions([], "/home/ann")).toMatchObject({ value: { state: "/home/ann/.phylax" } });
  expect(hints(ledger, ".phylax")).toEqual([
    `ledger: ${ledger}   verify it: npx --no phylax ledger verify ${ledger} --keys .phylax/dev.json`,
    "a token: npx --no phylax token telehealth   what to try: README.md",
  ]);
});

test("the hints after a start with --state name that folder in each command", () => {
  const [verify, token] = hints(ledger, "state/two");
  expect(verify).toContain("--keys state/two/dev.json");
  expect(token).toContain("npx --no phylax token telehealth --state state/two ");
  expect(token).toContain("README.md, with state/two for .phylax");
});
