import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { readLedgerConfig } from "#platform/ledger/config";
import type { Running } from "../process/process.ts";
import { embed, type CapnpStruct } from "../workerd/capnp.ts";
import { bundleWorker, putInto, rateLimiterIn, serveConfig, stateOf } from "../workerd/serve.ts";
import { r2Binding, standIn, standInExtensions } from "../workerd/stand-ins.ts";
import { ledgerEnvironment } from "./environment.ts";

/** The ledger, its peers and the driver in one raw workerd, with their state on disk. */
export interface LedgerStack {
  readonly process: Running;
  readonly driverUrl: string;
  readonly ledgerUrl: string;
  /** Of the ledger's checkpoints. */
  readonly publicKey: Uint8Array;
}

/** @param root the source tree whose ledger, driver and peers these are. */
export async function serveLedger(folder: string, root: string): Promise<LedgerStack> {
  mkdirSync(folder);
  const environment = ledgerEnvironment();
  const script = async (name: string) => embed(await bundleWorker(join(root, "bench/ledger", name), folder));
  const [driver, ledger, peers] = [
    await script("driver-worker.ts"),
    await script("ledger-worker.ts"),
    await script("peer-worker.ts"),
  ];
  const variables = (more: Readonly<Record<string, string>>) => [
    ...Object.entries({ ...environment, ...more }).map(([name, text]) => ({ name, text })),
    { name: "WITNESSES", json: "[]" },
  ];
  const put = putInto(folder);
  const config: CapnpStruct = {
    services: [
      ...service(
        folder,
        "driver",
        driver,
        [],
        [
          ...objects("ledger", { LEDGER_SHARD: "LedgerShard" }),
          ...objects("counted", {
            COUNTED_SHARD: "CountedShard",
            COUNTED_ROOT: "CountedRoot",
            COUNTED_SHELF: "CountedShelf",
          }),
          ...objects("peers", { ROW_LOG: "RowLog", BARE_LOG: "BareLog" }),
          r2Binding("PLAIN_BUCKET", "PLAIN_BUCKET"),
        ],
      ),
      ...service(folder, "ledger", ledger, Object.values(ledgerObjects), [
        ...objects("ledger", ledgerObjects),
        ...variables({}),
        r2Binding("LEDGER_BUCKET", "LEDGER_BUCKET"),
      ]),
      ...service(folder, "counted", ledger, Object.values(countedObjects), [
        ...objects("counted", countedObjects),
        ...variables({ LEDGER_NAME: "counted.bench" }),
        r2Binding("LEDGER_BUCKET", "COUNTED_BUCKET"),
      ]),
      ...service(folder, "peers", peers, ["RowLog", "BareLog"], []),
      ...standIn("r2", stateOf(folder, "r2"), put),
      { name: "internet", network: { allow: ["private"] } },
    ],
    sockets: ["driver", "ledger"].map((name) => ({
      name,
      address: "127.0.0.1:0",
      service: name,
      http: {},
    })),
    extensions: standInExtensions(put, await rateLimiterIn(folder)),
  };
  const running = await serveConfig(folder, "ledger", config, ["driver", "ledger"]);
  return {
    process: running,
    driverUrl: `http://127.0.0.1:${running.ready["driver"]}`,
    ledgerUrl: `http://127.0.0.1:${running.ready["ledger"]}`,
    publicKey: readLedgerConfig(environment).checkpointPublicKey,
  };
}

const ledgerObjects = {
  LEDGER_SHARD: "LedgerShard",
  LEDGER_ROOT: "LedgerRoot",
  ACCOUNTING_SHELF: "AccountingShelf",
  ACCOUNTING_INTAKE: "AccountingIntake",
  TRAFFIC_BOOK: "TrafficBook",
} as const;

const countedObjects = {
  LEDGER_SHARD: "CountedShard",
  LEDGER_ROOT: "CountedRoot",
  ACCOUNTING_SHELF: "AccountingShelf",
  ACCOUNTING_INTAKE: "AccountingIntake",
  TRAFFIC_BOOK: "TrafficBook",
  COUNTED_SHELF: "CountedShelf",
} as const;

/** Bindings by name to classes of a service. */
const objects = (serviceName: string, classes: Readonly<Record<string, string>>): readonly CapnpStruct[] =>
  Object.entries(classes).map(([name, className]) => ({
    name,
    durableObjectNamespace: { className, serviceName },
  }));

/** A Worker with the Durable Object classes that it stores. */
function service(
  folder: string,
  name: string,
  script: ReturnType<typeof embed>,
  classes: readonly string[],
  bindings: readonly CapnpStruct[],
): readonly CapnpStruct[] {
  const storage = `${name}-storage`;
  return [
    {
      name,
      worker: {
        modules: [{ name: "index.js", esModule: script }],
        compatibilityDate: "2026-10-01",
        bindings,
        durableObjectNamespaces: classes.map((className) => ({
          className,
          uniqueKey: `${name}-${className}`,
          enableSql: true,
        })),
        durableObjectStorage: classes.length > 0 ? { localDisk: storage } : undefined,
        globalOutbound: "internet",
      },
    },
    { name: storage, disk: { path: stateOf(folder, name), writable: true } },
  ];
}
