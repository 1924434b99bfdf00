import { join } from "node:path";
import { configurations } from "../../sandbox/runtime/worker-bundles.ts";
import type { DeployedWorker } from "./bundles.ts";
import { embed, type CapnpStruct } from "./capnp.ts";
import { d1Binding, r2Binding, ratelimitBinding } from "./stand-ins.ts";

// Wrangler's own type needs a package that it does not install: these are the members that are read here.
interface WranglerConfig {
  readonly compatibility_date: string;
  readonly compatibility_flags: readonly string[];
  readonly vars: Readonly<Record<string, unknown>>;
  readonly secrets?: { readonly required?: readonly string[] };
  readonly durable_objects: { readonly bindings: readonly ObjectBinding[] };
  readonly services?: readonly {
    readonly binding: string;
    readonly service: string;
    readonly entrypoint?: string;
  }[];
  readonly d1_databases: readonly { readonly binding: string; readonly database_id: string }[];
  readonly r2_buckets: readonly { readonly binding: string; readonly bucket_name: string }[];
  readonly ratelimits: readonly {
    readonly name: string;
    readonly simple: { readonly limit: number; readonly period: number };
  }[];
  readonly version_metadata?: { readonly binding: string };
  readonly kv_namespaces: readonly unknown[];
  readonly queues: { readonly producers?: readonly unknown[] };
  readonly hyperdrive: readonly unknown[];
  readonly workflows: readonly unknown[];
}
interface ObjectBinding {
  readonly name: string;
  readonly class_name: string;
  readonly script_name?: string;
}

// Set before wrangler is loaded: it would warn that the secrets are in no .dev.vars file.
process.env["WRANGLER_LOG"] ??= "error";
const { unstable_readConfig } = await import("wrangler");
const root = join(import.meta.dirname, "../..");

export interface WorkerParts {
  /** Path of its module relative to the configuration of workerd. */
  readonly module: string;
  /** Variables that differ from the wrangler configuration, and the secrets. */
  readonly vars: Readonly<Record<string, string>>;
  /** Folder for the storage of its Durable Objects. */
  readonly state: string;
}

/** A Worker's name as a service of workerd: the name of its wrangler configuration. */
export const serviceOf = (worker: DeployedWorker) => `phylax-${worker}`;

/** A service that a Worker is bound to, with the names that the bindings need. */
export interface Neighbour {
  readonly service: string;
  readonly entrypoints: readonly string[];
  readonly objects: readonly string[];
}

/** Every further service that a Worker is bound to by its wrangler configuration. */
export function neighboursOf(worker: DeployedWorker): readonly Neighbour[] {
  const config: WranglerConfig = unstable_readConfig({ config: join(root, configurations[worker]) });
  const bound = [
    ...(config.services ?? []).map(({ service, entrypoint }) => ({ service, entrypoint })),
    ...config.durable_objects.bindings.map(({ script_name, class_name }) => ({
      service: script_name,
      object: class_name,
    })),
  ];
  const unique = (names: readonly (string | undefined)[]) => [
    ...new Set(names.filter((name) => name !== undefined)),
  ];
  return unique(bound.map(({ service }) => service)).map((service) => {
    const own = bound.filter((one) => one.service === service);
    return {
      service,
      entrypoints: unique(own.map((one) => ("entrypoint" in one ? one.entrypoint : undefined))),
      objects: unique(own.map((one) => ("object" in one ? one.object : undefined))),
    };
  });
}

/**
 * The services of one Worker as its wrangler configuration describes it. Throws for a secret that is required
 * and absent, and for a kind of binding that this file cannot make.
 */
export function deployedWorker(
  worker: DeployedWorker,
  { module, vars, state }: WorkerParts,
): readonly CapnpStruct[] {
  const config: WranglerConfig = unstable_readConfig({ config: join(root, configurations[worker]) });
  const { kv_namespaces: kv, queues, hyperdrive, workflows, durable_objects: objects } = config;
  if (kv.length + (queues.producers?.length ?? 0) + hyperdrive.length + workflows.length > 0)
    throw new Error(`${configurations[worker]} has a binding that the benchmark cannot make in workerd`);
  const missing = config.secrets?.required?.find((name) => vars[name] === undefined);
  if (missing !== undefined) throw new Error(`${worker}: the secret ${missing} is missing`);

  const own = objects.bindings.filter(({ script_name }) => script_name === undefined);
  const storage = `${worker}-storage`;
  const bindings: readonly CapnpStruct[] = [
    ...Object.entries({ ...config.vars, ...vars }).map(([name, value]) =>
      typeof value === "string" ? { name, text: value } : { name, json: JSON.stringify(value) },
    ),
    ...objects.bindings.map(({ name, class_name, script_name }) => ({
      name,
      durableObjectNamespace: { className: class_name, serviceName: script_name ?? serviceOf(worker) },
    })),
    ...(config.services ?? []).map(({ binding, service, entrypoint }) => ({
      name: binding,
      service: { name: service, entrypoint },
    })),
    ...config.d1_databases.map(({ binding, database_id }) => d1Binding(binding, database_id)),
    ...config.r2_buckets.map(({ binding, bucket_name }) => r2Binding(binding, bucket_name)),
    ...config.ratelimits.map(({ name, simple }) => ratelimitBinding(name, simple)),
    ...[config.version_metadata ?? []].flat().map(({ binding }) => ({
      name: binding,
      json: JSON.stringify({ id: "bench", tag: "", timestamp: new Date().toISOString() }),
    })),
  ];
  return [
    {
      name: serviceOf(worker),
      worker: {
        compatibilityDate: config.compatibility_date,
        compatibilityFlags: config.compatibility_flags,
        // with the Worker's name, so that a stack of the process tells whose function is on it
        modules: [{ name: `${worker}.js`, esModule: embed(module) }],
        bindings,
        durableObjectNamespaces: own.map(({ class_name }) => ({
          className: class_name,
          uniqueKey: `${serviceOf(worker)}-${class_name}`,
          enableSql: true,
        })),
        ...(own.length > 0 && { durableObjectStorage: { localDisk: storage } }),
        globalOutbound: "internet",
      },
    },
    { name: storage, disk: { path: state, writable: true } },
  ];
}
