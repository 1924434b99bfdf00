import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { inLane } from "./test/support/lane.ts";

// npm leaves the caller's folder in INIT_CWD, and the command reads the keys of a `.phylax` there. A test must not
// meet the stack of the developer who runs it.
delete process.env["INIT_CWD"];

const inWorkerd = "test/platform/{control,guard,jose,ledger}/**";

/**
 * The files with properties: the fuzz project runs them again, each property with new seeds until its time is
 * over.
 */
const withProperties = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter(
    (path) =>
      path.endsWith(".test.ts") &&
      !/^(?:door|e2e|slow|platform\/(?:control|guard|jose|ledger))\//u.test(path),
  )
  .map((path) => join("test", path))
  .filter((path) => readFileSync(path, "utf8").includes('from "fast-check"'));

const setupFiles = ["test/support/fixed-seeds.ts"];
const sharedCases = { alias: { "fast-check": join(import.meta.dirname, "test/support/fuzz-check.ts") } };

/**
 * Files without properties whose full form is the slow lane's: the fast lane takes a sample of them, or a
 * shorter period than the deployed one.
 */
const sampledInFastLane = [
  "test/bench/scale.test.ts",
  "test/e2e/auditor.test.ts",
  "test/e2e/configuration.test.ts",
  "test/e2e/dpop.test.ts",
  "test/e2e/export.test.ts",
  "test/e2e/old-state.test.ts",
  "test/e2e/security.test.ts",
  "test/e2e/servers-of-others.test.ts",
  "test/e2e/witnesses.test.ts",
  "test/fhir/validate-real-data.test.ts",
  "test/gateway/unreadable-rows.test.ts",
  "test/ledger/second-verifier.test.ts",
  "test/ledger/tamper.test.ts",
  "test/phi/real-data.test.ts",
  "test/sandbox/origin/scale.test.ts",
];

export default defineConfig({
  test: {
    // End-to-end files mostly wait (for alarms, leases, a whole stack): two run at a time.
    maxWorkers: 2,
    projects: [
      "test/door/vitest.config.ts",
      "test/door/second-door/vitest.config.ts",
      "test/platform/control/vitest.config.ts",
      "test/platform/guard/vitest.config.ts",
      "test/platform/jose/vitest.config.ts",
      "test/platform/ledger/vitest.config.ts",
      {
        resolve: sharedCases,
        test: {
          name: "pure",
          setupFiles,
          include: ["test/**/*.test.ts"],
          exclude: [inWorkerd, "test/door/**", "test/e2e/**", "test/slow/**"],
          // a process for each file would take twice the processor time, because it loads every module again
          isolate: false,
          // Some tests start a process (the linter, the command): five seconds is too little on a busy
          // machine.
          testTimeout: 90_000,
          hookTimeout: 90_000,
        },
      },
      {
        // All workers, the TLS front and the origin, as `npm start` runs them. One process runs many files,
        // which share its modules and the default stack: a new load of wrangler and Miniflare costs two
        // seconds of processor time per file.
        test: {
          name: "e2e",
          setupFiles,
          include: ["test/e2e/**/*.test.ts"],
          globalSetup: ["test/e2e/global-setup.ts"],
          isolate: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        // Kills, floods, real starts: alone on the machine, one file after another.
        test: {
          name: "slow",
          setupFiles,
          include: ["test/slow/**/*.test.ts", ...sampledInFastLane],
          exclude: inLane({ fast: [], slow: ["test/slow/soak.test.ts"], long: [] }),
          globalSetup: ["test/e2e/global-setup.ts"],
          fileParallelism: false,
          testTimeout: 90_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve: sharedCases,
        test: {
          name: "fuzz",
          include: withProperties,
          testTimeout: inLane({ fast: 60_000, slow: 60_000, long: 1_200_000 }),
          hookTimeout: 60_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
