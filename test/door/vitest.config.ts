import { defineProject } from "vitest/config";

const inProcess = (file: string) => new URL(`../support/in-process/${file}`, import.meta.url).pathname;

/**
 * All workers in the test's own process, without sockets and workerd (test/support/in-process/door.ts). Two modules are others here: what
 * workerd gives a worker, and how a test's requests travel.
 */
export default defineProject({
  resolve: {
    alias: [
      { find: "cloudflare:workers", replacement: inProcess("cloudflare-workers.ts") },
      { find: /^(?:\.\.?\/)+(?:cli\/)?mutual-tls\.ts$/u, replacement: inProcess("mutual-tls.ts") },
    ],
  },
  // The files of a run share what they load: a door costs more to load than to open.
  test: {
    name: "door",
    isolate: false,
    maxWorkers: 2, // as vitest.config.ts beside package.json has it: projects that run together agree on it
    include: ["**/*.test.ts"],
    setupFiles: [inProcess("scheduler.ts")],
    testTimeout: 90_000,
    hookTimeout: 60_000,
  },
});
