// `npm run tour`: shows Phylax on a running stack and checks it step by step. Exits with 0 only when every
// step was right. `npm run tour -- research` shows how a study gets a data set.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { researchSteps } from "./tour/research-steps.ts";
import { findOrStart } from "./tour/tour-stack.ts";
import type { Step, TourFacts } from "./tour/tour-step.ts";
import { steps } from "./tour/tour-steps.ts";

interface Tour {
  readonly about: string;
  readonly steps: readonly Step<TourFacts>[];
}
const first: Tour = { about: "A health plan, a telehealth service and a patient's record", steps };
/** The further tours, by the word that chooses each. */
const tours: ReadonlyMap<string, Tour> = new Map([
  [
    "research",
    { about: "A study, from its data use agreement to a data set on disk,", steps: researchSteps },
  ],
]);

const usage =
  "usage: npm run tour -- [research] [--state DIR]\n" +
  "  research     a study, from its data use agreement to a data set on disk\n" +
  "  --state DIR  of a running npm start (.phylax); without one the tour starts its own and ends it";

function asked(): { readonly tour: Tour; readonly state: string } {
  try {
    const { values, positionals } = parseArgs({
      options: { state: { type: "string", default: ".phylax" } },
      allowPositionals: true,
    });
    const [name, ...more] = positionals;
    const tour = name === undefined ? first : tours.get(name);
    if (tour === undefined || more.length > 0) throw new Error(`no tour ${positionals.join(" ")}`);
    return { tour, state: resolve(process.env["INIT_CWD"] ?? process.cwd(), values.state) };
  } catch (problem) {
    console.error(`${problem instanceof Error ? problem.message : "unreadable options"}\n${usage}`);
    process.exit(2);
  }
}

const { tour, state } = asked();
const folder = mkdtempSync(join(tmpdir(), "phylax-tour-"));
let exitCode = 1;
try {
  const phylax = await findOrStart(state, join(folder, "state"));
  try {
    console.log(`${tour.about} at ${phylax.dev.gateway}\n`);
    const seen: TourFacts = {
      dev: phylax.dev,
      devFile: phylax.devFile,
      folder,
      patient: await phylax.patient(),
    };
    for (const [i, { title, show }] of tour.steps.entries()) {
      console.log(`${i + 1}. ${title}`);
      for (const line of await show(seen)) console.log(`   ${line}`);
      console.log("");
    }
    console.log(`All ${tour.steps.length} steps were right.`);
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
