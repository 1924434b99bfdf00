import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineProject } from "vitest/config";
import { lane } from "../../support/lane.ts";

// Vectors that stand next to the project on some machines; workerd has no file system, so they are passed
// in.
const folder = join(import.meta.dirname, "../../../../shared/data/security/wycheproof");
const vectors = (name: string) => {
  const file = join(folder, `json_web_${name}_test.json`);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
};

const fixedSeeds = new URL("../../support/fixed-seeds.ts", import.meta.url).pathname;

/** Signatures in workerd, because production uses workerd's cryptography. */
export default defineProject({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: join(import.meta.dirname, "wrangler.toml") },
      miniflare: {
        bindings: {
          WYCHEPROOF_JWS: vectors("signature"),
          WYCHEPROOF_JWK: vectors("key"),
          WYCHEPROOF_CRYPTO: vectors("crypto"),
        },
      },
    }),
  ],
  // One workerd for all files, which store nothing in it: a workerd for each file took 13 of 21 s of
  // processor time.
  test: {
    name: "jose",
    include: ["**/*.test.ts"],
    isolate: false,
    setupFiles: [fixedSeeds],
    env: { PHYLAX_LANE: lane },
    sequence: { groupOrder: 3 },
    testTimeout: 60_000, // three groups share two cores
    hookTimeout: 60_000,
  },
});
