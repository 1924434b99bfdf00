import { interruption } from "./interruption.ts";
import { runCommand } from "./run-command.ts";

/** The exit code of a process that SIGINT ended, as a shell has it. */
const interrupted = 130;

process.once("SIGINT", () => {
  // The progress line is overwritten, and the shell's prompt begins on a line of its own.
  console.error(`${process.stderr.isTTY ? "\r\u001B[K" : ""}${interruption()}`);
  process.exit(interrupted);
});
process.exitCode = await runCommand(process.argv.slice(2));
