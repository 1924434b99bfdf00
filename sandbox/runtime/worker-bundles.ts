import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";

// Set before wrangler is loaded: it would warn that the secrets of wrangler.toml are in no .dev.vars file.
// They come from the state folder.
process.env["WRANGLER_LOG"] ??= "error";
process.env["WRANGLER_SEND_METRICS"] ??= "false";
const { unstable_getMiniflareWorkerOptions: optionsOf } = await import("wrangler");

const root = join(import.meta.dirname, "../..");

/** Each deployable worker's wrangler configuration, below the project's root. */
export const configurations = {
  gateway: "wrangler.toml",
  control: "workers/control/wrangler.toml",
  ledger: "workers/ledger/wrangler.toml",
  ops: "workers/ops/wrangler.toml",
  witness: "workers/witness/wrangler.toml",
} as const;

export type WorkerName = keyof typeof configurations;

/** The absolute path of each worker's script: a single file, named by its content. */
export type WorkerBundles = Readonly<Record<WorkerName, string>>;

// the keys of the table above
const workerNames = Object.keys(configurations) as readonly WorkerName[];

/** A worker's wrangler configuration as options of Miniflare. */
export const workerConfigurationOf = (name: WorkerName) => optionsOf(join(root, configurations[name]));

/**
 * Builds the five workers into `folder`, as wrangler would. Files of an earlier build are removed first. The
 * source maps are files next to the scripts: inside the scripts they would be two thirds of the bytes that
 * the runtime reads at each start.
 */
export async function buildWorkerBundles(folder: string): Promise<WorkerBundles> {
  rmSync(folder, { recursive: true, force: true });
  const built = await Promise.all(
    workerNames.map(async (name) => [name, await buildWorker(name, folder)] as const),
  );
  return Object.fromEntries(built) as Record<WorkerName, string>; // an entry for each name
}

async function buildWorker(name: WorkerName, folder: string): Promise<string> {
  const { main, define } = workerConfigurationOf(name);
  if (main === undefined) throw new Error(`${configurations[name]} has no main`);
  const { metafile } = await build({
    entryPoints: { [name]: main },
    entryNames: "[name]-[hash]",
    outdir: folder,
    bundle: true,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:*", "node:*"],
    conditions: ["workerd", "worker", "browser"],
    define: define ?? {},
    sourcemap: "linked",
    metafile: true,
    absWorkingDir: root,
    logLevel: "error",
  });
  const script = Object.keys(metafile.outputs).find((path) => path.endsWith(".js"));
  if (script === undefined) throw new Error(`${name}: no script was built`);
  return resolve(root, script);
}
