import { createHash } from "node:crypto";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");

/** A script for browsers: its text, a path that names its content, and the value of `integrity`. */
export interface BrowserScript {
  readonly path: string;
  readonly integrity: string;
  readonly text: string;
}

/**
 * Bundles a module of `src/` for browsers, with the ledger's own code. Modules for browsers take the place of
 * `node:crypto` and `Buffer`. The same sources give the same text.
 * @param entry below `src/`.
 * @param name the beginning of the path.
 */
export async function browserScript(entry: string, name: string): Promise<BrowserScript> {
  const { outputFiles } = await build({
    entryPoints: [join(root, "src", entry)],
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2024",
    charset: "utf8",
    legalComments: "none",
    absWorkingDir: root,
    alias: { "node:crypto": join(root, "src/console/browser/node-crypto.ts") },
    inject: [join(root, "src/console/browser/buffer.ts")],
    logLevel: "error",
  });
  const text = outputFiles[0]?.text ?? "";
  const hash = (algorithm: string) => createHash(algorithm).update(text);
  return {
    path: `${name}-${hash("sha256").digest("hex").slice(0, 16)}.js`,
    integrity: `sha384-${hash("sha384").digest("base64")}`,
    text,
  };
}
