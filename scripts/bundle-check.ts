// Builds each Worker as a deployment would (`wrangler deploy --dry-run`) and fails when a bundle is larger than
// its budget, takes longer to start, or differs between two builds.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { budgets, bundleProblems } from "./bundle-budgets.ts";

const root = join(import.meta.dirname, "..");
const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js");
const scratch = mkdtempSync(join(tmpdir(), "phylax-bundles-"));
const env = { ...process.env, WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false" };

/** Runs wrangler without a network and an account. Returns its output. */
function run(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [wrangler, ...args], {
    cwd: root,
    env,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`wrangler ${args.join(" ")} failed\n${stdout}${stderr}`);
  return stdout;
}

function build(worker: string, config: string, time: string): Buffer {
  const folder = join(scratch, `${worker}-${time}`);
  run("deploy", "--dry-run", "--outdir", folder, "-c", config);
  return readFileSync(join(folder, "index.js"));
}

function startOf(worker: string, config: string): number {
  const profile = join(scratch, `${worker}.cpuprofile`);
  const said = run("check", "startup", "-c", config, "--outfile", profile);
  return Number(/Active: ([\d.]+) ms/u.exec(said)?.[1] ?? Number.NaN);
}

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const problems: string[] = [];
try {
  for (const [worker, budget] of Object.entries(budgets)) {
    const { config } = budget;
    const [first, second] = [build(worker, config, "first"), build(worker, config, "second")];
    const figures = {
      kibibytes: Math.ceil(gzipSync(first, { level: 9 }).length / 1024),
      startMilliseconds: startOf(worker, config),
      digests: [digest(first), digest(second)],
    };
    console.log(
      `${worker}: ${figures.kibibytes} of ${budget.kibibytes} KiB, ` +
        `start ${figures.startMilliseconds} of ${budget.startMilliseconds} ms, sha-256 ${digest(first)}`,
    );
    problems.push(...bundleProblems(worker, figures, budget));
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
