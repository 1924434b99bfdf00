import { interruptedCode, interruption } from "./interruption.ts";
import { faultWords } from "./fault-words.ts";
import { runCommand } from "./run-command.ts";

process.once("SIGINT", () => {
  // The progress line is overwritten, and the shell's prompt begins on a line of its own.
  console.error(`${process.stderr.isTTY ? "\r\u001B[K" : ""}${interruption()}`);
  process.exit(interruptedCode());
});

let isOutputLost = false;
process.stdout.on("error", (fault: NodeJS.ErrnoException) => {
  // A reader such as `head` has read enough. The verb goes on: its change or its files must not stop halfway.
  if (fault.code === "EPIPE" || isOutputLost) return;
  isOutputLost = true;
  process.exitCode = 1;
  console.error(`the output is not complete: ${faultWords(fault)}`);
});

const exitCode = await runCommand(process.argv.slice(2));
process.exitCode = isOutputLost ? 1 : exitCode;
