// `npm start`: the whole of Phylax on this machine. SIGINT or SIGTERM ends it, with every process that it
// started.
import { relative } from "node:path";
import { hints, type Entrances } from "./hints.ts";
import { readOptions, usage } from "./options.ts";
import { startStack, type Stack } from "./stack.ts";
import { showStart } from "./start-progress.ts";
import { StartRefusal } from "./start-refusal.ts";

if (process.argv.includes("--help") || process.argv[2] === "help") {
  console.log(usage);
  process.exit(0);
}
// npm changes the working directory and leaves the caller's in INIT_CWD.
const home = process.env["INIT_CWD"] ?? process.cwd();
const options = readOptions(process.argv.slice(2), home);
if (!options.ok) {
  console.error(`${options.error}\n${usage}`);
  process.exit(2);
}
const { state } = options.value;

let stack: Stack | undefined;
let ending = false; // Ctrl-C comes twice: from the terminal, and from npm
/** Ends every started process, and this process with it: at once if a process hangs. */
const end = (code: number) => {
  if (ending) return;
  ending = true;
  setTimeout(() => process.exit(code), 5_000).unref();
  void (stack?.close() ?? Promise.resolve()).finally(() => process.exit(code));
};
const endAtSignals = () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.removeAllListeners(signal).on(signal, () => end(0));
};
endAtSignals();
const onCrash = () => {
  console.error(
    "the Workers runtime died, so everything stops. " +
      "Acknowledged requests are stored: start again with the same --state",
  );
  end(1);
};

const progress = showStart();
try {
  stack = await startStack({ ...options.value, onCrash, say: progress.say });
  progress.stop();
  endAtSignals(); // Miniflare's listeners would exit at once, before a clean close
  const { dev } = stack;
  const folder = relative(process.cwd(), state) || ".";
  for (const line of hints(dev as unknown as Entrances, relative(home, state) || ".", Date.now()))
    console.log(line);
  console.log(`ready ${String(dev["gateway"])} (${folder}/dev.json)`);
} catch (fault) {
  progress.stop();
  console.error(fault instanceof Error ? fault.message : fault);
  if (fault instanceof Error && Reflect.get(fault, "code") === "EADDRINUSE")
    console.error("choose another port with --port N");
  process.exit(fault instanceof StartRefusal ? 2 : 1);
}
