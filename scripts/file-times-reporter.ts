// A reporter of vitest: the time of each test file. The JSON report leaves out the time to load a file and its hooks.
import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import type { Reporter, TestModule } from "vitest/node";
import type { FileTime } from "./lanes.ts";

export default class FileTimesReporter implements Reporter {
  readonly #file = process.env["PHYLAX_FILE_TIMES"] ?? "";

  onTestRunEnd(modules: readonly TestModule[]): void {
    const times: readonly FileTime[] = modules.map((module) => {
      const { collectDuration, setupDuration, duration } = module.diagnostic();
      return {
        project: module.project.name,
        file: relative(process.cwd(), module.moduleId),
        milliseconds: collectDuration + setupDuration + duration,
      };
    });
    writeFileSync(this.#file, JSON.stringify(times));
  }
}
