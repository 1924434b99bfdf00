import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const browser = join(root, "src/console/browser");

/** The module with the console's files, as a text: the same sources give the same text. */
export async function consoleAssets(): Promise<string> {
  const style = await bundled("console.css");
  const script = await bundled("main.ts");
  const icon = readFileSync(join(browser, "icon.svg"), "utf8").trim();
  const entries = [
    ["style", "console", "css", "text/css; charset=utf-8", style],
    ["script", "console", "js", "text/javascript; charset=utf-8", script],
    ["icon", "icon", "svg", "image/svg+xml", icon],
  ] as const;
  const members = entries.map(([member, name, extension, type, text]) => {
    const digest = createHash("sha384").update(text).digest("base64");
    const short = createHash("sha256").update(text).digest("hex").slice(0, 16);
    return [
      member,
      { path: `/console/assets/${name}-${short}.${extension}`, type, integrity: `sha384-${digest}`, text },
    ];
  });
  const value = JSON.stringify(Object.fromEntries(members), undefined, 2);
  return `// Made by scripts/console-assets.ts from src/console/browser and the ledger's own code.\nexport const assets = ${value} as const;\n`;
}

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
