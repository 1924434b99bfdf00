// What CI runs: types, lint with the room table, format, unused code, tests. Stops at the first that fails.
import { spawnSync } from "node:child_process";

const steps: readonly (readonly string[])[] = [
  ["node", "scripts/env-types.ts", "--check"],
  ["tsc", "-p", "tsconfig.json"],
  ["oxlint", "--type-aware", "--deny-warnings"],
  ["oxfmt", "--check"],
  ["knip"],
  ["node", "scripts/test.ts"],
];

for (const [command = "", ...args] of steps) {
  console.log(`\n— ${command} ${args.join(" ")}`);
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) {
    console.error(`${command} ${args.join(" ")} failed`);
    process.exit(status ?? 1);
  }
}
