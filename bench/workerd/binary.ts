import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const inMiniflare = createRequire(fileURLToPath(import.meta.resolve("miniflare")));

/**
 * The path of the workerd that Miniflare uses, which is the workerd of `npm start` and of the tests. Throws
 * when it is not installed.
 */
export function workerdBinary(): string {
  const path: unknown = Reflect.get(Object(inMiniflare("workerd")), "default"); // the package exports its path
  if (typeof path !== "string" || !existsSync(path))
    throw new Error("workerd is not installed for this platform: run npm ci, with optional dependencies");
  return path;
}

/** The version of that workerd. */
export function workerdVersion(): string {
  const { version }: { readonly version: string } = inMiniflare("workerd/package.json");
  return version;
}
