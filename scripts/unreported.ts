// A reporter of vitest: what its JSON report leaves out. That is the time to load a file and its hooks, and errors
// outside of tests: a promise that was rejected after its test had ended, or a file whose hook failed.
import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import type { Reporter, SerializedError, TestModule } from "vitest/node";
import type { FileTime, UnreportedByVitest } from "./lanes.ts";

export default class UnreportedReporter implements Reporter {
  readonly #file = process.env["PHYLAX_UNREPORTED"] ?? "";

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const times: readonly FileTime[] = modules.map((module) => {
      const { collectDuration, setupDuration, duration } = module.diagnostic();
      return {
        project: module.project.name,
        file: relative(process.cwd(), module.moduleId),
        milliseconds: collectDuration + setupDuration + duration,
      };
    });
    const ofFiles = modules.flatMap((module) => [
      ...module.errors(),
      ...[...module.children.allSuites()].flatMap((suite) => suite.errors()),
    ]);
    const errors = [...unhandled, ...ofFiles].map(
      ({ name, message, stack }) => `${name}: ${message}\n${stack ?? "without a stack"}`,
    );
    const unreported: UnreportedByVitest = { times, errors };
    writeFileSync(this.#file, JSON.stringify(unreported));
  }
}
