// Writes (or with --check compares) each worker's env.d.ts, the types of its bindings, from its wrangler configuration.
import { spawnSync } from "node:child_process";

const configs = [
  { config: "wrangler.toml", out: "workers/gateway/env.d.ts", others: ["workers/control/wrangler.toml", "workers/ledger/wrangler.toml"] },
  { config: "workers/control/wrangler.toml", out: "workers/control/env.d.ts", others: [] },
  { config: "workers/ledger/wrangler.toml", out: "workers/ledger/env.d.ts", others: [] },
] as const;

for (const { config, out, others } of configs) {
  const flags = [config, ...others].flatMap((file) => ["-c", file]);
  const check = process.argv.includes("--check") ? ["--check"] : [];
  const { status } = spawnSync("wrangler", ["types", out, ...flags, "--include-runtime=false", ...check], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, WRANGLER_SEND_METRICS: "false" },
  });
  if (status !== 0) {
    console.error(`${out} does not fit ${config}: run npm run types`);
    process.exit(1);
  }
}
