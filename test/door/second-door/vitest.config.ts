import { join } from "node:path";
import { defineProject, mergeConfig } from "vitest/config";
import door from "../vitest.config.ts";

const root = join(import.meta.dirname, "..");

/**
 * The suites of leaks, two worlds, records and faults again, through a second door: each question is a line of JSON,
 * and so is each answer (test/support/json-lines-door.ts). `http-only.ts` lists the tests that only HTTP can say.
 */
const second = mergeConfig(
  { ...door, root, test: { ...door.test, name: "second-door", include: undefined } },
  {
    resolve: {
      alias: [{ find: /^\.\/fhir-door\.ts$/u, replacement: join(root, "../support/json-lines-door.ts") }],
    },
    test: {
      include: [
        "leaks-*.test.ts",
        "two-worlds.test.ts",
        "record.test.ts",
        "faults.test.ts",
        "write-faults.test.ts",
      ],
      setupFiles: [join(import.meta.dirname, "http-only.ts")],
    },
  },
);

export default defineProject(second);
