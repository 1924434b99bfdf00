// Runs every check of CI: types, lint with the room table, format, unused code, plain language, the subjects of
// commits, the packages, the bundles of the Workers, then the fast lane. `--without-tests` leaves the fast lane out.
// The script stops at the first step that fails.
import { runSteps } from "./run-steps.ts";

const options = process.argv.slice(2);
const unknown = options.find((option) => option !== "--without-tests");
if (unknown !== undefined) {
  console.error(`${unknown} is not an option: npm run check [-- --without-tests]`);
  process.exit(2);
}

runSteps([
  ["node", "scripts/env-types.ts", "--check"],
  ["tsc", "-p", "tsconfig.json"],
  ["oxlint", "--type-aware", "--deny-warnings"],
  ["oxfmt", "--check"],
  ["knip"],
  ["node", "scripts/prose.ts", "--check"],
  ["node", "scripts/subjects.ts"],
  ["node", "scripts/supply-chain.ts"],
  ["node", "scripts/bundle-check.ts"],
  ...(options.includes("--without-tests") ? [] : [["node", "scripts/test.ts"]]),
]);
