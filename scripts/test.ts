// What `npm test` runs: every test. Those end to end wait more than they work, and those in workerd run one file after another, so these and
// the pure ones are run beside the first: all in one run took 14 minutes in place of 11 to 12. With arguments it is vitest with these.
import { spawn } from "node:child_process";

const waiting = ["e2e"];
const working = ["pure", "control", "guard", "jose", "ledger"];

interface Run {
  readonly code: number;
  readonly said: Buffer;
}

function vitest(args: readonly string[], isShown: boolean): Promise<Run> {
  const child = spawn(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...args], {
    stdio: ["ignore", isShown ? "inherit" : "pipe", isShown ? "inherit" : "pipe"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal)); // and wait for it
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (part: Buffer) => said.push(part));
  return new Promise((done) => child.on("close", (code) => done({ code: code ?? 1, said: Buffer.concat(said) })));
}

const projects = (names: readonly string[]) => names.flatMap((name) => ["--project", name]);

const asked = process.argv.slice(2);
if (asked.length > 0) process.exitCode = (await vitest(asked, true)).code;
else {
  const [beside, shown] = await Promise.all([vitest(projects(working), false), vitest(projects(waiting), true)]);
  process.stdout.write(beside.said);
  process.exitCode = beside.code || shown.code;
}
