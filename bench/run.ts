// `npm run bench`: Phylax and its peers side by side on this machine (docs/performance.md explains the
// output).
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readOptions, usage } from "./options.ts";

const options = readOptions(process.argv.slice(2));
if (!options.ok || !existsSync("/proc/self/schedstat")) {
  console.error(
    options.ok ? "CPU time is read from /proc: the benchmark needs Linux" : `${options.error}\n${usage}`,
  );
  process.exit(2);
}
// process exit ends all started processes
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));

// Next to the sources, not in the folder for temporary files: that folder may be in memory, where an fsync
// costs nothing.
const home = join(import.meta.dirname, "../.phylax");
mkdirSync(home, { recursive: true });
const folder = mkdtempSync(join(home, "bench-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

// Loaded now: a wrong option need not wait for wrangler and the FHIR tables.
const { runGroups } = await import("./groups.ts");
const { profilePhylax } = await import("./profile/group.ts");
const { endAll } = await import("./process/process.ts");
const { table } = await import("./report.ts");
const { shortRun, waitForQuiet } = await import("./quiet.ts");
let exitCode = 1;
try {
  if (options.value.profile === undefined) {
    const { duration, wait } = options.value;
    const before = duration === "short" ? shortRun() : await waitForQuiet(wait);
    const found = await runGroups(folder, options.value, before);
    console.log(table(found));
    if (options.value.json !== undefined)
      writeFileSync(options.value.json, `${JSON.stringify(found, undefined, 2)}\n`);
  } else console.log(await profilePhylax(folder, options.value.profile));
  exitCode = 0;
} catch (fault) {
  console.error(fault instanceof Error ? fault.message : fault);
}
await endAll();
process.exit(exitCode);
