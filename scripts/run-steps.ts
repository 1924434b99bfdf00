import { spawnSync } from "node:child_process";

/** Runs the commands in order. Ends the process with the status of the first that fails. */
export function runSteps(steps: readonly (readonly string[])[]): void {
  for (const [command = "", ...args] of steps) {
    console.log(`\n— ${command} ${args.join(" ")}`);
    const { status } = spawnSync(command, args, { stdio: "inherit" });
    if (status === 0) continue;
    console.error(`${command} ${args.join(" ")} failed`);
    process.exit(status ?? 1);
  }
}
