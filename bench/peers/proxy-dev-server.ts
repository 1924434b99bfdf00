// The bare proxy in Miniflare, as `npm start` runs the gateway. It shows the cost that local development adds
// to each request.
import { readFileSync } from "node:fs";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

const [script = "", origin = ""] = process.argv.slice(2);
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: 0,
    cf: false,
    workers: [
      {
        name: "proxy",
        modules: [{ type: "ESModule", path: "proxy.js", contents: readFileSync(script, "utf8") }],
        compatibilityDate: "2026-10-01",
        bindings: { ORIGIN: origin },
      },
    ],
  }),
);
console.log(`listening ${(await miniflare.ready).origin}`);
process.once("SIGTERM", () => void miniflare.dispose().then(() => process.exit(0)));
