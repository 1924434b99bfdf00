import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const browser = join(root, "src/console/browser");

/** The generated modules with the files for browsers, each by its path. The same sources give the same texts. */
export async function browserFiles(): Promise<readonly (readonly [path: string, text: string])[]> {
  const style = file("console", "css", "text/css; charset=utf-8", await bundled("console.css"));
  const script = file("console", "js", "text/javascript; charset=utf-8", await bundled("main.ts"));
  const icon = file("icon", "svg", "image/svg+xml", readFileSync(join(browser, "icon.svg"), "utf8").trim());
  const review = file(
    "review-access",
    "js",
    "text/javascript; charset=utf-8",
    await bundled("review-main.ts"),
  );
  const check = file("check-accounting", "js", "text/javascript", await bundled("check-accounting.ts"));
  const placed = (of: typeof style) => ({ ...of, path: `/console/assets/${of.path}` });
  const { path, integrity, text } = check;
  return [
    [
      "src/console/assets.gen.ts",
      module("assets", { style: placed(style), script: placed(script), icon: placed(icon) }),
    ],
    ["src/console/review-script.gen.ts", module("reviewAsset", placed(review))],
    ["src/audit/accounting/page/check-script.gen.ts", module("checkScript", { path, integrity })],
    ["src/platform/ledger/isolate/check-script.gen.ts", module("servedCheckScript", { path, text })],
  ];
}

/** A file whose name and `integrity` have the hash of its text. */
function file(name: string, extension: string, type: string, text: string) {
  const hash = (algorithm: string) => createHash(algorithm).update(text);
  const short = hash("sha256").digest("hex").slice(0, 16);
  return {
    path: `${name}-${short}.${extension}`,
    type,
    integrity: `sha384-${hash("sha384").digest("base64")}`,
    text,
  };
}

const module = (name: string, value: object): string =>
  "// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.\n" +
  `export const ${name} = ${JSON.stringify(value, undefined, 2)} as const;\n`;

/** The bundle runs in browsers: the parts of `node:crypto` and `Buffer` that the ledger's code needs are ours. */
async function bundled(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(browser, entry)],
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    target: "es2024",
    charset: "utf8",
    legalComments: "none",
    alias: { "node:crypto": join(browser, "node-crypto.ts") },
    inject: entry.endsWith(".ts") ? [join(browser, "buffer.ts")] : [],
    conditions: ["browser"],
    // The code then takes its own hash of short messages: a browser has no synchronous library either.
    define: { "navigator.userAgent": JSON.stringify("Cloudflare-Workers") },
    absWorkingDir: root,
    logLevel: "error",
  });
  return outputFiles[0]?.text ?? "";
}
