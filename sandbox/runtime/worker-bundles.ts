import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { deployedWorkerText, optionsOf as buildOptionsOf } from "../../scripts/bundle-worker.ts";

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
  guards: "workers/guards/wrangler.toml",
  jobs: "workers/jobs/wrangler.toml",
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
 * Builds the workers into `folder` with readable names. Files of an earlier build are removed first. The
 * source maps are files next to the scripts: inside the scripts they would be two thirds of the bytes that
 * the runtime reads at each start.
 */
export const buildWorkerBundles = (folder: string): Promise<WorkerBundles> => bundlesIn(folder, readable);

/** Builds the workers into `folder` as they are deployed. */
export const buildDeployedBundles = (folder: string): Promise<WorkerBundles> => bundlesIn(folder, deployed);

type Build = (name: WorkerName, folder: string) => Promise<string>;

async function bundlesIn(folder: string, builder: Build): Promise<WorkerBundles> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const built = await Promise.all(
    workerNames.map(async (name) => [name, await builder(name, folder)] as const),
  );
  return Object.fromEntries(built) as Record<WorkerName, string>; // an entry for each name
}

async function readable(name: WorkerName, folder: string): Promise<string> {
  const { metafile } = await build({
    ...buildOptionsOf(name),
    entryPoints: { [name]: `workers/${name}/index.ts` },
    entryNames: "[name]-[hash]",
    outdir: folder,
    sourcemap: "linked",
    metafile: true,
  });
  const script = Object.keys(metafile.outputs).find((path) => path.endsWith(".js"));
  if (script === undefined) throw new Error(`${name}: no script was built`);
  return resolve(root, script);
}

async function deployed(name: WorkerName, folder: string): Promise<string> {
  const text = await deployedWorkerText(name);
  const path = join(folder, `${name}-${createHash("sha256").update(text).digest("hex").slice(0, 8)}.js`);
  writeFileSync(path, text);
  return path;
}
