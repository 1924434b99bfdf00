import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineProject } from "vitest/config";

/** The client's guard in workerd, with storage that ends with the run. */
export default defineProject({
  plugins: [cloudflareTest({ wrangler: { configPath: new URL("wrangler.toml", import.meta.url).pathname } })],
  // Three groups share two cores: only a test that takes a minute counts as hung.
  test: { name: "guard", include: ["**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
});
