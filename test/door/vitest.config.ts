import { defineProject } from "vitest/config";

const inProcess = (file: string) => new URL(`../support/in-process/${file}`, import.meta.url).pathname;

/**
 * All workers in the test's own process, without sockets and workerd (test/support/in-process/door.ts). It
 * replaces two modules: the module that workerd gives a worker, and the module that sends a test's requests.
 */
export default defineProject({
  resolve: {
    alias: [
      { find: "cloudflare:workers", replacement: inProcess("cloudflare-workers.ts") },
      {
        find: /^(?:\.\.?\/)+(?:cli\/)?(?:connection\/)?mutual-tls\.ts$/u,
        replacement: inProcess("mutual-tls.ts"),
      },
    ],
  },
  // The files of a run share the modules that they load: to load a door takes longer than to open it.
  test: {
    name: "door",
    isolate: false,
    maxWorkers: 2, // as vitest.config.ts next to package.json has it: projects that run together agree on it
    include: ["*.test.ts"],
    setupFiles: [inProcess("scheduler.ts"), inProcess("judged-once.ts"), inProcess("../fixed-seeds.ts")],
    testTimeout: 90_000,
    hookTimeout: 60_000,
  },
});
