import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { start, type Running } from "../process.ts";
import type { Peer } from "./peer.ts";

/**
 * A bare Hono proxy in `workerd serve`, of the very workerd that runs Phylax, without wrangler and Miniflare
 * in between.
 */
export async function startProxy(folder: string, origin: string): Promise<Peer> {
  build(folder);
  const config = join(folder, "proxy.capnp");
  writeFileSync(config, workerdConfig(origin));
  const binary: unknown = createRequire(fileURLToPath(import.meta.resolve("miniflare")))("workerd");
  const program = String(Reflect.get(binary as object, "default")); // the package's export is the path of its binary
  // workerd writes its port to the given descriptor, here its standard output.
  const running = await start(
    "measured",
    [program, "serve", config, "--control-fd=1"],
    /"socket":"http","port":(?<port>\d+)/u,
  );
  return bare("proxy", "Hono proxy in raw workerd: no check, no cut, no record", running);
}

/**
 * The same Worker in Miniflare. Miniflare's own Workers are before and behind it, as they are for Phylax
 * under `npm start`.
 */
export async function startDevelopmentProxy(folder: string, origin: string): Promise<Peer> {
  const server = join(import.meta.dirname, "proxy-dev-server.ts");
  const running = await start(
    "measured",
    [process.execPath, server, build(folder), origin],
    /^listening \S+:(?<port>\d+)$/mu,
  );
  return bare("proxy-dev", "the same in Miniflare, which npm start runs Phylax in", running);
}

const bare = (name: string, describe: string, process: Running): Peer => ({
  name,
  describe,
  target: { host: "127.0.0.1", port: Number(process.ready["port"]) },
  isFull: false,
  headers: async () => [],
  process,
});

/** Bundles the Worker. Returns the path. */
function build(folder: string): string {
  const outfile = join(folder, "proxy.js");
  const entryPoints = [join(import.meta.dirname, "proxy-worker.ts")];
  buildSync({ entryPoints, outfile, bundle: true, format: "esm", target: "es2024", logLevel: "error" });
  return outfile;
}

const workerdConfig = (origin: string) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .proxy),
    (name = "out", network = (allow = ["private"]))
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]
);
const proxy :Workerd.Worker = (
  modules = [(name = "proxy.js", esModule = embed "proxy.js")],
  compatibilityDate = "2026-10-01",
  bindings = [(name = "ORIGIN", text = "${origin}")],
  globalOutbound = "out"
);
`;
