import { readdirSync } from "node:fs";
import { join } from "node:path";
import { embed } from "../workerd/capnp.ts";
import { bundleWorker, serveConfig, stateOf } from "../workerd/serve.ts";
import { countRows } from "./audit-rows.ts";
import type { Peer } from "./peer.ts";

/** The floor in raw workerd: the I/O that the record of each answer forces, and no decision. */
export async function startFloor(folder: string, origin: string): Promise<Peer> {
  const script = await bundleWorker(join(import.meta.dirname, "floor-worker.ts"), folder);
  const state = stateOf(folder, "floor");
  const running = await serveConfig(
    folder,
    "floor",
    {
      services: [
        {
          name: "floor",
          worker: {
            modules: [{ name: "floor.js", esModule: embed(script) }],
            compatibilityDate: "2026-10-01",
            bindings: [
              { name: "ORIGIN", text: origin },
              { name: "LOG", durableObjectNamespace: { className: "FloorLog", serviceName: "floor" } },
            ],
            durableObjectNamespaces: [{ className: "FloorLog", uniqueKey: "FloorLog", enableSql: true }],
            durableObjectStorage: { localDisk: "floor-storage" },
            globalOutbound: "internet",
          },
        },
        { name: "floor-storage", disk: { path: state, writable: true } },
        { name: "internet", network: { allow: ["private"] } },
      ],
      sockets: [{ name: "http", address: "127.0.0.1:0", http: {}, service: "floor" }],
    },
    ["http"],
  );
  return {
    name: "floor",
    describe:
      "Phylax's I/O in raw workerd, nothing decided: the body read whole, one row of 900 bytes in a Durable " +
      "Object (group commit of 2 ms, output gate), a head of eleven fields",
    target: { host: "127.0.0.1", port: Number(running.ready["http"]) },
    isFull: false,
    headers: async () => [[]],
    process: running,
    ledger: { records: async () => rowsOnDisk(join(state, "FloorLog")) },
  };
}

/** The rows in the database file of the only object, read by this process: they are on the disk. */
function rowsOnDisk(folder: string): number {
  const file = readdirSync(folder).find((name) => /^[0-9a-f]{64}\.sqlite$/u.test(name));
  if (file === undefined) throw new Error("the floor has stored nothing");
  return countRows(join(folder, file), "records");
}
