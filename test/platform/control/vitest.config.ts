import "reflect-metadata";
import { createHash, randomBytes } from "node:crypto";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { X509CertificateGenerator } from "@peculiar/x509";
import { defineProject } from "vitest/config";
import { lane } from "../../support/lane.ts";

const here = (path: string) => new URL(path, import.meta.url).pathname;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/** A certificate made anew for each run, with the facts that a reader of it should find. */
async function certificate(): Promise<{ pem: string; x5t: string; from: number; to: number }> {
  // ECDSA makes a pair
  const keys = (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair;
  const [notBefore, notAfter] = [new Date("2026-01-01T00:00:00Z"), new Date("2036-01-01T00:00:00Z")];
  const made = await X509CertificateGenerator.createSelfSigned({
    name: "CN=telehealth",
    keys,
    notBefore,
    notAfter,
    signingAlgorithm: algorithm,
  });
  const x5t = createHash("sha256").update(new Uint8Array(made.rawData)).digest("base64url");
  return { pem: made.toString("pem"), x5t, from: notBefore.getTime(), to: notAfter.getTime() };
}

/** The control worker in workerd, with a registry that ends with the run. */
export default defineProject({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: here("../../../workers/control/wrangler.toml") },
      miniflare: {
        bindings: {
          MIGRATIONS: await readD1Migrations(here("../../../migrations")),
          CERTIFICATE: await certificate(),
          APPROVALS: "one-person",
          SEEDING: "allowed",
          CONSENT_KEY: randomBytes(32).toString("base64url"),
        },
      },
    }),
  ],
  // One workerd for all files, which empty the registry before each test: a workerd for each file took 14 of
  // 21 s of processor time.
  test: {
    name: "control",
    include: ["**/*.test.ts"],
    isolate: false,
    setupFiles: [here("../../support/fixed-seeds.ts")],
    env: { PHYLAX_LANE: lane },
    sequence: { groupOrder: 3 },
    testTimeout: 60_000, // three groups share two cores
    hookTimeout: 60_000,
  },
});
