import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineProject } from "vitest/config";

/** The client's guard in workerd, with storage that ends with the run. */
export default defineProject({
  plugins: [cloudflareTest({ wrangler: { configPath: new URL("wrangler.toml", import.meta.url).pathname } })],
  // Three groups share two cores: only a test that takes a minute counts as hung. One workerd runs all files, which
  // name clients of their own: each start takes more than a second of processor time.
  test: {
    name: "guard",
    include: ["**/*.test.ts"],
    isolate: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
