// Builds each Worker as a deployment does (`wrangler deploy --dry-run`) and fails when a bundle is larger than its
// budget, takes longer to start, or differs between two builds, or when esbuild's options are not wrangler's.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { readEnvironment } from "../cli/deploy/environment.ts";
import { configFile, configsOf } from "../cli/deploy/worker-configs.ts";
import { budgets, bundleProblems } from "./bundle-budgets.ts";
import { bundledWorker, deployedWorkerText } from "./bundle-worker.ts";

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

/** The file that would be uploaded, and Cloudflare's form of the upload. */
function build(name: string, config: string): { readonly text: string; readonly upload: string } {
  const folder = join(scratch, name);
  const upload = join(folder, "worker.bundle");
  run("deploy", "--dry-run", "--outdir", folder, "--outfile", upload, "-c", config);
  return { text: readFileSync(join(folder, "index.js"), "utf8"), upload };
}

function startOf(upload: string): number {
  const said = run("check", "startup", "--worker", upload, "--outfile", `${upload}.cpuprofile`);
  return Number(/Active: ([\d.]+) ms/u.exec(said)?.[1] ?? Number.NaN);
}

const digest = (text: string): string =>
  createHash("sha256")
    .update(text.replace(/^\/\/# sourceMappingURL=.*/mu, "").trim())
    .digest("hex");
const problems: string[] = [];
try {
  const environment = readEnvironment(join(root, "deploy/example.json"));
  const deployments = await configsOf(environment, root, scratch);
  for (const [worker, config] of deployments)
    writeFileSync(configFile(scratch, worker), JSON.stringify(config));
  for (const [worker, budget] of Object.entries(budgets)) {
    // a witness is deployed by people of other organizations, with the configuration of the sources
    const own = build(`${worker}-own`, budget.config);
    const deployed = [...deployments.keys()].find((each) => each === worker);
    const { text, upload } = deployed ? build(worker, configFile(scratch, deployed)) : own;
    const bundled = await bundledWorker(worker, { minify: true });
    const figures = {
      kibibytes: Math.ceil(gzipSync(text, { level: 9 }).length / 1024),
      startMilliseconds: startOf(upload),
      builds: [text, deployed ? await deployedWorkerText(worker) : bundled].map(digest),
      bundles: [own.text, bundled].map(digest),
    };
    console.log(
      `${worker}: ${figures.kibibytes} of ${budget.kibibytes} KiB, ` +
        `start ${figures.startMilliseconds} of ${budget.startMilliseconds} ms, sha-256 ${figures.builds[0]}`,
    );
    problems.push(...bundleProblems(worker, figures, budget));
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
