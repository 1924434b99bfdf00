// Runs every check of CI: types, lint with the room table, format, unused code, plain language, the packages,
// the bundles of the Workers, then the fast lane. `--without-tests` leaves the fast lane out. The script stops at
// the first step that fails.
import { spawnSync } from "node:child_process";

const options = process.argv.slice(2);
const unknown = options.find((option) => option !== "--without-tests");
if (unknown !== undefined) {
  console.error(`${unknown} is not an option: npm run check [-- --without-tests]`);
  process.exit(2);
}

const steps: readonly (readonly string[])[] = [
  ["node", "scripts/env-types.ts", "--check"],
  ["tsc", "-p", "tsconfig.json"],
  ["oxlint", "--type-aware", "--deny-warnings"],
  ["oxfmt", "--check"],
  ["knip"],
  ["node", "scripts/prose.ts", "--check"],
  ["node", "scripts/supply-chain.ts"],
  ["node", "scripts/bundle-check.ts"],
  ...(options.includes("--without-tests") ? [] : [["node", "scripts/test.ts"]]),
];

for (const [command = "", ...args] of steps) {
  console.log(`\n— ${command} ${args.join(" ")}`);
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) {
    console.error(`${command} ${args.join(" ")} failed`);
    process.exit(status ?? 1);
  }
}
