// `npm run tour`: shows Phylax on a running stack and checks it step by step. Exits with 0 only when every
// step was right.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { findOrStart } from "./tour/tour-stack.ts";
import { steps, type SeenInTour } from "./tour/tour-steps.ts";

const usage =
  "usage: npm run tour -- [--state DIR]\n  --state DIR  of a running npm start (.phylax); without one the tour starts its own and ends it";

function stateFolder(): string {
  try {
    const { values } = parseArgs({ options: { state: { type: "string", default: ".phylax" } } });
    return resolve(process.env["INIT_CWD"] ?? process.cwd(), values.state);
  } catch (problem) {
    console.error(`${problem instanceof Error ? problem.message : "unreadable options"}\n${usage}`);
    process.exit(2);
  }
}

const state = stateFolder();
const folder = mkdtempSync(join(tmpdir(), "phylax-tour-"));
let exitCode = 1;
try {
  const phylax = await findOrStart(state, join(folder, "state"));
  try {
    console.log(`A health plan, a telehealth service and a patient's record at ${phylax.dev.gateway}\n`);
    const seen: SeenInTour = {
      dev: phylax.dev,
      devFile: phylax.devFile,
      folder,
      patient: await phylax.patient(),
    };
    for (const [i, { title, show }] of steps.entries()) {
      console.log(`${i + 1}. ${title}`);
      for (const line of await show(seen)) console.log(`   ${line}`);
      console.log("");
    }
    console.log(`All ${steps.length} steps were right.`);
    exitCode = 0;
  } finally {
    await phylax.close();
  }
} catch (fault) {
  console.error(`   NOT SHOWN: ${fault instanceof Error ? fault.message : "unknown error"}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(exitCode);
