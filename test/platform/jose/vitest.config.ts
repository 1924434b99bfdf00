import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineProject } from "vitest/config";

// Vectors that lie beside the project on some machines; workerd has no file system, so they are handed in.
const folder = join(import.meta.dirname, "../../../../shared/data/security/wycheproof");
const vectors = (name: string) => {
  const file = join(folder, `json_web_${name}_test.json`);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
};

/** Signatures in workerd, whose cryptography is the one that counts. */
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
  // One workerd for all files, which keep nothing in it: to start one for each took 13 of 21 s of processor time.
  test: { name: "jose", include: ["**/*.test.ts"], isolate: false, sequence: { groupOrder: 3 } },
});
