import { generateKeyPairSync, randomBytes } from "node:crypto";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineProject } from "vitest/config";
import { inLane, lane } from "../../support/lane.ts";

/** Two auditors and the secrets of a ledger, made anew for each run: no key here is used anywhere. */
const auditors = ["auditor-1", "auditor-2"].map((kid) => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    public: { ...publicKey.export({ format: "jwk" }), kid },
    private: { ...privateKey.export({ format: "jwk" }), kid },
  };
});
const secret = (): string => randomBytes(32).toString("base64url");

const seed = process.env["PHYLAX_MODEL_SEED"];

/** The ledger worker in workerd, with storage that ends with the run. */
export default defineProject({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: new URL("../../../workers/ledger/wrangler.toml", import.meta.url).pathname },
      verbose: false, // these tests break the ledger on purpose, and the runtime would log each broken call
      miniflare: {
        bindings: {
          LEDGER_NAME: "ledger.test",
          LEDGER_SHARDS: "64",
          LEDGER_KEEP_MIB: "0", // rows are deleted as soon as R2 has them: everything must work without rows
          AUDITOR_KEYS: { keys: auditors.map((one) => one.public) },
          CHECKPOINT_KEY: JSON.stringify(generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" })),
          ACCOUNTING_KEY: secret(),
          SUBJECT_KEY: secret(),
          AUDITOR_PRIVATE_KEYS: auditors.map((one) => one.private),
          LANE: lane,
          MODEL: {
            runs: Number(process.env["PHYLAX_MODEL"] ?? inLane({ fast: 5, slow: 60, long: 400 })),
            seed: seed === undefined ? null : Number(seed),
          },
        },
      },
    }),
  ],
  // Three groups share two cores: only a test that takes a minute counts as hung.
  test: {
    name: "ledger",
    include: ["**/*.test.ts"],
    setupFiles: [new URL("../../support/fixed-seeds.ts", import.meta.url).pathname],
    env: { PHYLAX_LANE: lane },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
