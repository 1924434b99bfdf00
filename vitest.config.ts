import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // End-to-end files wait more than they work (for alarms, leases, a whole stack): two at once keep `npm test` under ten minutes.
    maxWorkers: 2,
    projects: [
      "test/door/vitest.config.ts",
      "test/platform/control/vitest.config.ts",
      "test/platform/guard/vitest.config.ts",
      "test/platform/jose/vitest.config.ts",
      "test/platform/ledger/vitest.config.ts",
      {
        test: {
          name: "pure",
          include: ["test/**/*.test.ts"],
          exclude: ["test/platform/{control,guard,jose,ledger}/**", "test/door/**", "test/e2e/**"],
          // Some start a process (the linter, the command): five seconds is too little on a busy machine.
          testTimeout: 30_000,
        },
      },
      {
        // All workers, the TLS front and the origin, as `npm start` runs them; each file has a stack of its own.
        test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], testTimeout: 30_000, hookTimeout: 60_000 },
      },
    ],
  },
});
