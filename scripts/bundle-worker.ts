// Makes the file of a Worker for a deployment: `node scripts/with-node.mjs scripts/bundle-worker.ts gateway` writes
// dist/gateway/index.js. The configurations of `phylax deploy config` have this command as `build.command`, and
// wrangler uploads the file unchanged.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { minify } from "@swc/core";
import { build, type BuildOptions } from "esbuild";
import { minifySync } from "rolldown/utils";

const root = join(import.meta.dirname, "..");

/** The options that wrangler sets for esbuild. scripts/bundle-check.ts compares the result with wrangler's bundle. */
export const workerOptions = {
  bundle: true,
  format: "esm",
  target: "es2024",
  external: ["cloudflare:*", "node:*"],
  conditions: ["workerd", "worker", "browser"],
  define: { "navigator.userAgent": '"Cloudflare-Workers"', "process.env.NODE_ENV": '"production"' },
  absWorkingDir: root,
  logLevel: "error",
} as const satisfies BuildOptions;

const handed = "./workers/gateway/handed-tables.ts";

/**
 * These options for a Worker of its own: the gateway gets tables from `control` (wrangler.toml has the same lines). `jobs`
 * has the tables in its bundle, because it cuts rows into forms before it has read a policy.
 */
export const optionsOf = (worker: string): BuildOptions => ({
  ...workerOptions,
  ...(worker === "gateway" && {
    alias: {
      "#fhir/r4/structure.gen": handed,
      "#fhir/r4/summary.gen": handed,
      "#fhir/r4/ties.gen": handed,
    },
  }),
});

/** A Worker in one module by esbuild, as wrangler bundles it. */
export async function bundledWorker(worker: string, settings: { readonly minify: boolean }): Promise<string> {
  const entryPoints = [`workers/${worker}/index.ts`];
  const { outputFiles } = await build({ ...optionsOf(worker), ...settings, entryPoints, write: false });
  return outputFiles[0]?.text ?? "";
}

/** The Worker as it is deployed: swc and oxc make esbuild's minified module smaller (ADR 100). */
export async function deployedWorkerText(worker: string): Promise<string> {
  const small = await bundledWorker(worker, { minify: true });
  const { code } = await minify(small, {
    module: true,
    // gzip finds fewer repetitions in the forms that the two options make
    compress: { passes: 3, toplevel: true, collapse_vars: false, sequences: false },
    mangle: { topLevel: true },
  });
  const smallest = minifySync(`${worker}.js`, code, { module: true });
  if (smallest.errors.length > 0) throw new Error(`oxc: ${smallest.errors[0]?.message}`);
  return worker === "gateway" ? withoutMessages(smallest.code) : smallest.code;
}

/**
 * The gateway's log has the name of a fault and never its message, so the messages of plain Errors take no room in its
 * bundle: 1.3 KiB.
 */
const withoutMessages = (code: string): string => code.replaceAll(/\bError\(`[^`$\\]*`\)/gu, "Error()");

if (import.meta.main) {
  const [worker = ""] = process.argv.slice(2);
  const path = join(root, "dist", worker, "index.js");
  const text = await deployedWorkerText(worker);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
