// Writes (or with --check compares) each worker's env.d.ts, the types of its bindings, from its wrangler
// configuration.
import { spawnSync } from "node:child_process";

// Each worker's Env has its own name, so that one program can have them all.
const workers = [
  {
    config: "wrangler.toml",
    folder: "gateway",
    name: "GatewayEnv",
    others: [
      "workers/control/wrangler.toml",
      "workers/ledger/wrangler.toml",
      "workers/guards/wrangler.toml",
      "workers/jobs/wrangler.toml",
    ],
  },
  {
    config: "workers/guards/wrangler.toml",
    folder: "guards",
    name: "GuardsEnv",
    others: ["workers/control/wrangler.toml"],
  },
  { config: "workers/control/wrangler.toml", folder: "control", name: "ControlEnv", others: [] },
  { config: "workers/ledger/wrangler.toml", folder: "ledger", name: "LedgerWorkerEnv", others: [] },
  {
    config: "workers/jobs/wrangler.toml",
    folder: "jobs",
    name: "JobsEnv",
    others: ["workers/control/wrangler.toml", "workers/ledger/wrangler.toml", "workers/guards/wrangler.toml"],
  },
  { config: "workers/witness/wrangler.toml", folder: "witness", name: "WitnessWorkerEnv", others: [] },
  {
    config: "workers/ops/wrangler.toml",
    folder: "ops",
    name: "OpsEnv",
    others: ["workers/control/wrangler.toml", "workers/ledger/wrangler.toml", "workers/jobs/wrangler.toml"],
  },
] as const;

for (const { config, folder, name, others } of workers) {
  const out = `workers/${folder}/env.d.ts`;
  const configs = [config, ...others].flatMap((file) => ["-c", file]);
  const check = process.argv.includes("--check") ? ["--check"] : [];
  const flags = ["--include-runtime=false", "--env-interface", name, ...check];
  const { status } = spawnSync("wrangler", ["types", out, ...configs, ...flags], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
  });
  if (status !== 0) {
    console.error(`${out} does not fit ${config}: run npm run types`);
    process.exit(1);
  }
}
