import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineProject } from "vitest/config";

// Vectors that lie beside the project on some machines; workerd has no file system, so they are handed in.
const vectors = join(import.meta.dirname, "../../../../shared/data/security/wycheproof/json_web_signature_test.json");

/** Signatures in workerd, whose cryptography is the one that counts. */
export default defineProject({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: join(import.meta.dirname, "wrangler.toml") },
      miniflare: { bindings: { WYCHEPROOF_JWS: existsSync(vectors) ? readFileSync(vectors, "utf8") : "" } },
    }),
  ],
  test: { name: "jose", include: ["**/*.test.ts"] },
});
