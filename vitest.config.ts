import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      "test/platform/control/vitest.config.ts",
      "test/platform/guard/vitest.config.ts",
      "test/platform/ledger/vitest.config.ts",
      {
        test: {
          name: "pure",
          include: ["test/**/*.test.ts"],
          exclude: ["test/platform/**", "test/e2e/**"],
        },
      },
    ],
  },
});
