import { join } from "node:path";
import { embed } from "../workerd/capnp.ts";
import { bundleWorker, serveConfig } from "../workerd/serve.ts";
import type { Peer } from "./peer.ts";

/** A bare Hono proxy in `workerd serve`, of the very workerd that runs Phylax. */
export async function startProxy(folder: string, origin: string): Promise<Peer> {
  const script = await bundleWorker(join(import.meta.dirname, "proxy-worker.ts"), folder);
  const running = await serveConfig(
    folder,
    "proxy",
    {
      services: [
        {
          name: "proxy",
          worker: {
            modules: [{ name: "proxy.js", esModule: embed(script) }],
            compatibilityDate: "2026-10-01",
            bindings: [{ name: "ORIGIN", text: origin }],
            globalOutbound: "internet",
          },
        },
        { name: "internet", network: { allow: ["private"] } },
      ],
      sockets: [{ name: "http", address: "127.0.0.1:0", http: {}, service: "proxy" }],
    },
    ["http"],
  );
  return {
    name: "proxy",
    describe: "bare Hono proxy in raw workerd: no check, no cut, no record",
    target: { host: "127.0.0.1", port: Number(running.ready["http"]) },
    isFull: false,
    headers: async () => [[]],
    process: running,
  };
}
