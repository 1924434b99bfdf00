// The ledger, its peers and the driver in one workerd, as Miniflare runs them, with their state on disk.
// Prints the addresses of the driver and of the ledger, and the public key of the ledger's checkpoints.
import { join } from "node:path";
import { buildSync } from "esbuild";
import { convertV4MiniflareOptions, Miniflare, type V4WorkerOptions } from "miniflare";
import { readLedgerConfig } from "#platform/ledger/config";
import { ledgerEnvironment } from "./environment.ts";

const [state = ""] = process.argv.slice(2);
const environment = ledgerEnvironment();
const object = (className: string, scriptName?: string) => ({
  className,
  useSQLite: true,
  ...(scriptName && { scriptName }),
});
const worker = (
  name: string,
  file: string,
  options: Partial<V4WorkerOptions>,
): V4WorkerOptions & { name: string } => ({
  ...options,
  name,
  compatibilityDate: "2026-10-01",
  modules: [{ type: "ESModule", path: "index.js", contents: bundle(file) }],
});

function bundle(file: string): string {
  const built = buildSync({
    entryPoints: [join(import.meta.dirname, file)],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:*", "node:*"],
    conditions: ["workerd", "worker", "browser"],
    logLevel: "error",
  });
  return built.outputFiles[0]?.text ?? "";
}

const loopback = { host: "127.0.0.1", port: 0 };
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    ...loopback,
    cf: false,
    resourcePersistencePath: state,
    workers: [
      worker("driver", "driver-worker.ts", {
        durableObjects: {
          LEDGER_SHARD: object("LedgerShard", "ledger"),
          COUNTED_SHARD: object("CountedShard", "counted"),
          COUNTED_ROOT: object("CountedRoot", "counted"),
          COUNTED_SHELF: object("CountedShelf", "counted"),
          ROW_LOG: object("RowLog", "peers"),
          BARE_LOG: object("BareLog", "peers"),
        },
        r2Buckets: ["PLAIN_BUCKET"],
      }),
      worker("ledger", "ledger-worker.ts", {
        bindings: { ...environment, WITNESSES: [] },
        durableObjects: {
          LEDGER_SHARD: object("LedgerShard"),
          LEDGER_ROOT: object("LedgerRoot"),
          ACCOUNTING_SHELF: object("AccountingShelf"),
          ACCOUNTING_INTAKE: object("AccountingIntake"),
        },
        r2Buckets: ["LEDGER_BUCKET"],
        unsafeDirectSockets: [loopback],
      }),
      worker("counted", "ledger-worker.ts", {
        bindings: { ...environment, LEDGER_NAME: "counted.bench", WITNESSES: [] },
        durableObjects: {
          LEDGER_SHARD: object("CountedShard"),
          LEDGER_ROOT: object("CountedRoot"),
          ACCOUNTING_SHELF: object("AccountingShelf"),
          ACCOUNTING_INTAKE: object("AccountingIntake"),
          COUNTED_SHELF: object("CountedShelf"),
        },
        r2Buckets: { LEDGER_BUCKET: "COUNTED_BUCKET" },
      }),
      worker("peers", "peer-worker.ts", {
        durableObjects: { ROW_LOG: object("RowLog"), BARE_LOG: object("BareLog") },
      }),
    ],
  }),
);
const driver = await miniflare.ready;
const ledger = await miniflare.unsafeGetDirectURL("ledger");
const key = Buffer.from(readLedgerConfig(environment).checkpointPublicKey).toString("base64url");
console.log(`listening ${driver.origin} ${ledger.origin} ${key}`);
process.once("SIGTERM", () => void miniflare.dispose().then(() => process.exit(0)));
