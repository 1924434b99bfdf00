// `npm start`: the whole of Phylax on this machine (DESIGN §10). Ends at SIGINT or SIGTERM with everything it started.
import { rmSync } from "node:fs";
import { relative } from "node:path";
import { readOptions, usage } from "./options.ts";
import { startStack } from "./stack.ts";

const options = readOptions(process.argv.slice(2), process.env["INIT_CWD"] ?? process.cwd());
if (!options.ok) {
  console.error(`${options.error}\n${usage}`);
  process.exit(2);
}
const { state, reset } = options.value;
if (reset) rmSync(state, { recursive: true, force: true });

try {
  const stack = await startStack({ ...options.value, say: (line) => console.log(line) });
  const end = () => {
    void stack.close().then(() => process.exit(0));
  };
  process.once("SIGINT", end);
  process.once("SIGTERM", end);
  const { dev } = stack;
  const folder = relative(process.cwd(), state) || ".";
  console.log(`ledger: ${String(dev["ledger"])}   verify it: npx phylax ledger verify ${String(dev["ledger"])} --keys ${folder}/dev.json`);
  console.log(`a token: npx phylax token telehealth   what to try: README.md`);
  console.log(`ready ${String(dev["gateway"])} (${folder}/dev.json)`);
} catch (fault) {
  console.error(fault instanceof Error ? fault.message : fault);
  process.exit(1);
}
