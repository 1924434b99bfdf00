import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { configurations } from "../../sandbox/runtime/worker-bundles.ts";

const root = join(import.meta.dirname, "../..");
const require = createRequire(import.meta.url);
const wrangler = join(dirname(require.resolve("wrangler/package.json")), "bin/wrangler.js");

/** The workers on the path of a request. `ops` and `witness` have no part in it. */
export const deployedWorkers = ["gateway", "control", "ledger"] as const;
export type DeployedWorker = (typeof deployedWorkers)[number];

/** `minified` is deployed. `readable` is the same code with the names and the file comments of the sources. */
export type BundleForm = "minified" | "readable";

const made = new Map<string, Promise<readonly string[]>>();

/**
 * Bundles a worker by wrangler itself, as `wrangler deploy --minify` uploads it, once in a run, into
 * `<folder>/<form>/<worker>`. Returns the paths of its modules; the first is the entry.
 */
export function deployedBundle(
  worker: DeployedWorker,
  folder: string,
  form: BundleForm = "minified",
): Promise<readonly string[]> {
  const out = join(folder, form, worker);
  const making = made.get(out) ?? bundle(worker, out, form);
  made.set(out, making);
  return making;
}

async function bundle(worker: DeployedWorker, out: string, form: BundleForm): Promise<readonly string[]> {
  // The option decides, not the configuration, which minifies.
  const minify = form === "minified" ? "--minify" : "--no-minify";
  const config = join(root, configurations[worker]);
  const args = ["deploy", "--dry-run", minify, "--outdir", out, "-c", config];
  const child = spawn(process.execPath, [wrangler, ...args], {
    cwd: root,
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_LOG: "error", CI: "true" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise((done) => child.once("close", done));
  if (code !== 0) throw new Error(`wrangler cannot bundle ${worker}:\n${said}`);
  return modulesOf(out);
}

/** The modules that wrangler wrote: the entry `index.js`, and files that it imports, such as WebAssembly. */
function modulesOf(folder: string): readonly string[] {
  const names = readdirSync(folder).filter((name) => /\.(?:js|wasm)$/u.test(name));
  return names
    .toSorted((a, b) => Number(b === "index.js") - Number(a === "index.js"))
    .map((name) => join(folder, name));
}
