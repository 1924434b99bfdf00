import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { workerOptions } from "../../scripts/bundle-worker.ts";
import { start, type Running } from "../process/process.ts";
import { workerdBinary } from "./binary.ts";
import { deployedBundle, deployedWorkers, type BundleForm, type DeployedWorker } from "./bundles.ts";
import { embed, workerdConfig, type CapnpStruct } from "./capnp.ts";
import { deployedWorker, serviceOf } from "./deployed-worker.ts";
import type { ConsentPreparation, Preparation } from "./launcher-worker.ts";
import { d1Binding, standIn, standInExtensions } from "./stand-ins.ts";

const root = join(import.meta.dirname, "../..");

/** The deployed Workers in plain `workerd serve`. */
export interface RawWorkerd {
  readonly process: Running;
  /** The gateway's socket takes the facts of a connection in the header `MF-CF-Blob`. */
  readonly gatewayPort: number;
  readonly ledgerPort: number;
  /** The debugger's port, if it was asked for. */
  readonly inspectorPort: number | undefined;
  /** Runs the migrations of D1, puts a registry document in and files Consents. Throws when one is refused. */
  prepare(registry: unknown, consents: readonly ConsentPreparation[]): Promise<void>;
}

export type Vars = Readonly<Record<string, string>>;

/** The place of the bundles, which many stacks of a run share, and their form. */
export interface Deployment {
  readonly bundles: string;
  readonly form: BundleForm;
  readonly isInspected: boolean;
  readonly v8Flags?: readonly string[];
  /** TRACES of the gateway; absent: it makes no traces. */
  readonly traces?: string | undefined;
}

/**
 * Bundles the Workers as they are deployed and serves them, with their state below `folder`. Every
 * socket is on 127.0.0.1, on a free port. D1, R2 and the rate limiter are stand-ins.
 */
export async function serveDeployed(
  folder: string,
  vars: Readonly<Record<DeployedWorker, Vars>>,
  { bundles, form, isInspected, v8Flags = [] }: Deployment,
): Promise<RawWorkerd> {
  const services = await Promise.all(
    deployedWorkers.map(async (worker) =>
      deployedWorker(worker, {
        module: copied(await deployedBundle(worker, bundles, form), folder, worker),
        vars: vars[worker],
        state: stateOf(folder, worker),
      }),
    ),
  );
  const put = putInto(folder);
  const address = "127.0.0.1:0";
  const config: CapnpStruct = {
    v8Flags,
    services: [
      ...services.flat(),
      ...(["d1", "r2"] as const).flatMap((product) => standIn(product, stateOf(folder, product), put)),
      await launcher(folder),
      { name: "internet", network: { allow: ["private"] } },
    ],
    sockets: [
      { name: "gateway", address, service: serviceOf("gateway"), http: { cfBlobHeader: "MF-CF-Blob" } },
      { name: "ledger", address, service: serviceOf("ledger"), http: {} },
      { name: "launcher", address, service: "launcher", http: {} },
    ],
    extensions: standInExtensions(put, await rateLimiterIn(folder)),
  };
  const running = await serveConfig(folder, "phylax", config, ["gateway", "ledger", "launcher"], isInspected);
  const port = (name: string) => Number(running.ready[name]);
  return {
    process: running,
    gatewayPort: port("gateway"),
    ledgerPort: port("ledger"),
    inspectorPort: isInspected ? port("inspector") : undefined,
    prepare: (registry, consents) =>
      prepare(port("launcher"), { statements: migrations(), registry, consents }),
  };
}

/** The folder of a service's state. */
export function stateOf(folder: string, name: string): string {
  const path = join(folder, "state", name);
  mkdirSync(path, { recursive: true });
  return path;
}

export const putInto = (folder: string) => (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return name;
};

/** Copies a module below a configuration, since `embed` takes no path outside. Returns its relative path. */
export function copied(module: string, folder: string, worker: DeployedWorker): string {
  mkdirSync(join(folder, worker));
  const name = join(worker, basename(module));
  copyFileSync(module, join(folder, name));
  return name;
}

/**
 * Starts `workerd serve` on a configuration, written to `<folder>/<name>.capnp`, and waits until it listens on
 * the named sockets.
 */
export function serveConfig(
  folder: string,
  name: string,
  config: CapnpStruct,
  sockets: readonly string[],
  isInspected = false,
): Promise<Running> {
  const file = join(folder, `${name}.capnp`);
  writeFileSync(file, workerdConfig(config));
  // workerd writes its ports to the given descriptor, here its standard output.
  const flags = [
    "--experimental",
    "--control-fd=1",
    ...(isInspected ? ["--inspector-addr=127.0.0.1:0"] : []),
  ];
  return start({
    place: "measured",
    command: [workerdBinary(), "serve", file, ...flags],
    ready: [
      ...sockets.map((name) => new RegExp(`"socket":"${name}","port":(?<${name}>\\d+)`, "u")),
      ...(isInspected ? [/"event":"listen-inspector","port":(?<inspector>\d+)/u] : []),
    ],
  });
}

async function launcher(folder: string): Promise<CapnpStruct> {
  const file = await bundleWorker(join(import.meta.dirname, "launcher-worker.ts"), folder);
  return {
    name: "launcher",
    worker: {
      compatibilityDate: "2026-10-01",
      modules: [{ name: "launcher.js", esModule: embed(file) }],
      bindings: [
        d1Binding("REGISTRY", "00000000-0000-0000-0000-000000000000"),
        { name: "REGISTRY_DESK", service: { name: serviceOf("control"), entrypoint: "RegistryDesk" } },
        { name: "CONSENT_DESK", service: { name: serviceOf("control"), entrypoint: "ConsentDesk" } },
      ],
    },
  };
}

export const rateLimiterIn = (folder: string): Promise<string> =>
  bundleWorker(join(import.meta.dirname, "rate-limiter.ts"), folder);

/** Bundles one of the benchmark's own Workers into a folder. Returns the file's name. */
export async function bundleWorker(path: string, folder: string): Promise<string> {
  const name = `${path.replace(/^.*\/|\.ts$/gu, "")}.js`;
  await build({ ...workerOptions, entryPoints: [path], outfile: join(folder, name), minify: true });
  return name;
}

function migrations(): readonly string[] {
  return readdirSync(join(root, "migrations"))
    .filter((file) => file.endsWith(".sql"))
    .toSorted()
    .flatMap((file) => readFileSync(join(root, "migrations", file), "utf8").split("--> statement-breakpoint"))
    .filter((sql) => sql.trim() !== "");
}

async function prepare(port: number, preparation: Preparation): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: "POST",
    body: JSON.stringify(preparation),
  });
  const text = await response.text();
  const applied: { readonly ok: boolean } = response.ok ? JSON.parse(text) : { ok: false };
  if (!applied.ok) throw new Error(`the registry of the benchmark is refused (${response.status}): ${text}`);
}
