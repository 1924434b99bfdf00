import { expect, test } from "vitest";
import { readOptions } from "../../sandbox/options.ts";
import { hints } from "../../sandbox/hints.ts";

const ledger = "http://localhost:8444";
const officer = {
  id: "officer",
  roles: [],
  cert: "/s/officer.pem",
  key: "/s/officer.key",
  login: "officer@example.org",
  password: "sesame",
  totp: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", // RFC 6238, appendix B
};
const dev = { ledger, console: "https://localhost:8446/console", officers: [officer] };

test("the hints after a start without --state need no --state: the default folder is the command's too", () => {
  expect(readOptions([], "/home/ann")).toMatchObject({ value: { state: "/home/ann/.phylax" } });
  expect(hints({ ...dev, officers: [] }, ".phylax", 0)).toEqual([
    `ledger: ${ledger}   verify it: npx --no phylax ledger verify ${ledger} --keys .phylax/dev.json`,
    "a token: npx --no phylax token telehealth   what to try: README.md",
  ]);
});

test("the hints after a start with --state name that folder in each command", () => {
  const [verify, token] = hints(dev, "state/two", 0);
  expect(verify).toContain("--keys state/two/dev.json");
  expect(token).toContain("npx --no phylax token telehealth --state state/two ");
  expect(token).toContain("README.md, with state/two for .phylax");
});

test("the console's address, a login and its code of this moment are printed, with the way to a later code", () => {
  const [, , address, login] = hints(dev, ".phylax", 59_000);
  expect(address).toBe(
    "console: https://localhost:8446/console   certificate for the browser: /s/officer.pem (docs/console.md)",
  );
  expect(login).toBe(
    "  login: officer@example.org   password: sesame   code: 287082 (a later code: npm run code)",
  );
  expect(hints(dev, "state/two", 0)[3]).toContain("npm run code -- state/two)");
});
