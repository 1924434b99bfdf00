import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundledWorker, deployedWorkerText } from "../../scripts/bundle-worker.ts";

/** The workers on the path of a request, or bound by one. `ops` and `witness` have no part in it. */
export const deployedWorkers = ["gateway", "control", "ledger", "guards", "jobs"] as const;
export type DeployedWorker = (typeof deployedWorkers)[number];

/** `minified` is deployed. `readable` is the same code with the names and the file comments of the sources. */
export type BundleForm = "minified" | "readable";

const made = new Map<string, Promise<string>>();

/** Bundles a worker once in a run into `<folder>/<form>/<worker>/index.js`. Returns the path. */
export function deployedBundle(
  worker: DeployedWorker,
  folder: string,
  form: BundleForm = "minified",
): Promise<string> {
  const out = join(folder, form, worker);
  const making = made.get(out) ?? bundle(worker, out, form);
  made.set(out, making);
  return making;
}

async function bundle(worker: DeployedWorker, out: string, form: BundleForm): Promise<string> {
  const text = await (form === "minified"
    ? deployedWorkerText(worker)
    : bundledWorker(worker, { minify: false }));
  mkdirSync(out, { recursive: true });
  const path = join(out, "index.js");
  writeFileSync(path, text);
  return path;
}
