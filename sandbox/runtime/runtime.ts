import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { RegistryProblem } from "#registry/problem";
import type { Result } from "#kernel/result";
import type { JWK } from "jose";
import type { NewOperator } from "#platform/registry/admit-operator";
import {
  convertV4MiniflareOptions,
  Log,
  LogLevel,
  Miniflare,
  type V4MiniflareOptions,
  type V4WorkerdStructuredLog,
  type V4WorkerOptions,
} from "miniflare";
import { keptAwake, openToOthers, startElsewhere, type NamedWorker } from "./gateways-elsewhere.ts";
import {
  buildWorkerBundles,
  workerConfigurationOf,
  type WorkerBundles,
  type WorkerName,
} from "./worker-bundles.ts";

const root = join(import.meta.dirname, "../..");

// V8's flags for workerd: Miniflare has no option for them. workerd gives V8 no sizes, so V8 collects a heap late,
// and each of the 30 heaps (Workers and stand-ins) waits for itself: small reads took the process to 1 GiB. Only a
// full collection frees the runtime's own objects of a request. No flag limits a heap: it grows as its live
// objects do (docs/performance.md, Memory).
process.env["MINIFLARE_WORKERD_V8_FLAGS"] ??=
  "--initial-old-space-size=2 --max-semi-space-size=1 --memory-saver-mode";
// workerd's allocator gives each thread caches, up to 32 MiB together, unless glibc leaves restartable sequences to
// it: then each processor has caches, of 1.5 MiB.
process.env["GLIBC_TUNABLES"] ??= "glibc.pthread.rseq=0";

/**
 * The development settings of a worker, added to its wrangler configuration: changed variables, and the
 * secrets.
 */
export interface WorkerSettings {
  readonly vars?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  /** Bindings in addition to those of the wrangler configuration. */
  readonly serviceBindings?: NonNullable<V4WorkerOptions["serviceBindings"]>;
}

interface Socket {
  readonly host: string;
  readonly port: number;
}

/**
 * The workers in one local workerd (and gateways elsewhere, on request), on loopback ports that it chooses,
 * with their state on disk.
 */
export interface Runtime {
  /** The gateway's port takes `MF-CF-Blob`: only the TLS front may know it. */
  readonly gateway: Socket;
  readonly gatewaysElsewhere: readonly Socket[];
  /** The operators' API, whose port takes `MF-CF-Blob` too. */
  readonly ops: Socket;
  readonly ledgerUrl: string;
  readonly miniflare: Miniflare;
  /**
   * Writes a registry document through `control`, replacing the entries that it names. Throws with a JSON
   * pointer when it is not valid.
   */
  applyRegistry(document: unknown): Promise<void>;
  /** Puts a file's entries in the place of registered entries: all of it, or nothing and the first problem. */
  replaceRegistry(document: unknown): Promise<Result<Applied, RegistryProblem>>;
  /** False for a new registry, and for a registry that was lost. */
  hasClients(): Promise<boolean>;
  /** An active client of an issuer, by the issuer's name for it, if its entry has keys. */
  keyedClient(issuer: string, externalId: string): Promise<KeyedClient | undefined>;
  /** Merges a registry file through `control`: all of it, or nothing and the first problem. */
  addRegistry(document: unknown): Promise<Result<Applied, RegistryProblem>>;
  admitOperator(operator: NewOperator): Promise<void>;
  close(): Promise<void>;
}

/** The keys of a client, and the binding of its tokens now. */
export interface KeyedClient {
  readonly jwks: { readonly keys: readonly JWK[] };
  /** `none`: a dated exception of its entry. */
  readonly tokensBoundTo: "certificate" | "key" | "none";
}

interface Applied {
  readonly counts: AppliedCounts;
}

interface AppliedCounts {
  readonly added: number;
  readonly changed: number;
}

/**
 * The launcher's own connection to `control`: in no deployment, on no port. Miniflare's RPC proxies would
 * leave stubs behind, and workerd warns of them.
 */
const launcher: NamedWorker = {
  name: "phylax-launcher",
  compatibilityDate: "2026-10-01",
  modules: true,
  script: `export default {
    async fetch(request, env) {
      const { registry, mode, operator } = await request.json();
      if (operator) await env.OPERATOR_DESK.admit(operator);
      return Response.json(registry ? await env.REGISTRY_DESK.apply(registry, mode) : null);
    },
  };`,
  serviceBindings: {
    REGISTRY_DESK: { name: "phylax-control", entrypoint: "RegistryDesk" },
    OPERATOR_DESK: { name: "phylax-control", entrypoint: "OperatorDesk" },
  },
};

export async function startRuntime(
  statePath: string,
  settings: {
    /** The built workers; undefined: they are built next to the state. */
    readonly bundles: WorkerBundles | undefined;
    /**
     * The authorities of the servers that the workers may call, besides the public authorities. Without them,
     * the authorities that Miniflare has read: a call has one worker less to pass then.
     */
    readonly authorities?: readonly string[] | undefined;
    readonly gateway: WorkerSettings;
    readonly control: WorkerSettings;
    /** With the port of its public addresses, which the console names to browsers. */
    readonly ledger: WorkerSettings & { readonly port: number };
    readonly guards: WorkerSettings;
    readonly jobs: WorkerSettings;
    readonly ops: WorkerSettings;
    /**
     * The witness that cosigns the ledger's root log. In production a witness runs elsewhere, under a
     * different operator.
     */
    readonly witness: WorkerSettings & { readonly port: number };
    /**
     * Gateways besides the first, as in several cities: each in its own process, with the same guards, ledger
     * and registry.
     */
    readonly gatewaysElsewhere?: number;
    /** Called at once when workerd ends by itself. Miniflare would start a new workerd on unknown ports. */
    readonly onCrash: () => void;
    /** Lets a test look into (and break) a Durable Object's storage. */
    readonly inspectStorage?: boolean;
    /** Opens the debugger's port. */
    readonly isInspected?: boolean;
  },
): Promise<Runtime> {
  const bundles = settings.bundles ?? (await buildWorkerBundles(join(dirname(statePath), "bundles")));
  const gateway = worker("gateway", bundles.gateway, settings.gateway);
  const control = worker("control", bundles.control, settings.control);
  const ledger = worker("ledger", bundles.ledger, settings.ledger);
  const guards = worker("guards", bundles.guards, settings.guards);
  const jobs = worker("jobs", bundles.jobs, settings.jobs);
  const ops = worker("ops", bundles.ops, settings.ops);
  const witness = worker("witness", bundles.witness, settings.witness);
  witness.unsafeDirectSockets = [{ host: "127.0.0.1", port: settings.witness.port }];
  const count = settings.gatewaysElsewhere ?? 0;
  ledger.unsafeDirectSockets = [{ host: "127.0.0.1", port: settings.ledger.port }];
  // A socket of its own: a request then passes no worker of Miniflare's, whose heap and objects cost each read a seventh.
  gateway.unsafeDirectSockets = [{ host: "127.0.0.1", port: 0 }];
  ops.unsafeDirectSockets = [{ host: "127.0.0.1", port: 0 }];
  const output = { log: new CrashWatch(settings.onCrash), handleStructuredLogs: print };

  const options: V4MiniflareOptions = {
    host: "127.0.0.1",
    port: 0,
    cf: false, // no download of a sample cf object; the front gives the real one
    ...output,
    resourcePersistencePath: statePath,
    workers: throughNetwork(settings.authorities, [
      gateway,
      control,
      count === 0 ? ledger : keptAwake(ledger),
      guards,
      jobs,
      ops,
      witness,
      launcher,
    ]),
    ...(settings.inspectStorage === true && { unsafeInspectDurableObjects: true }),
    ...(settings.isInspected === true && { inspectorPort: 0 }),
  };
  const miniflare =
    count === 0 ? new Miniflare(convertV4MiniflareOptions(options)) : openToOthers(options, statePath);
  await miniflare.ready;
  const entry = await miniflare.unsafeGetDirectURL("phylax-gateway");
  const ledgerUrl = await miniflare.unsafeGetDirectURL("phylax-ledger");
  const opsUrl = await miniflare.unsafeGetDirectURL("phylax-ops");
  const registry = await miniflare.getD1Database("REGISTRY", "phylax-gateway");
  await migrate(registry);
  const elsewhere =
    count === 0
      ? undefined
      : await startElsewhere(count, { statePath, gateway, ledgerUrl: ledgerUrl.origin, output });
  const ask = async (wish: unknown) => {
    const control = await miniflare.getWorker("phylax-launcher");
    const response = await control.fetch("http://control/", { method: "POST", body: JSON.stringify(wish) });
    if (!response.ok) throw new Error(`control answered ${response.status}`);
    return response;
  };
  const apply = async (registry: unknown, mode: "add" | "replace") =>
    // the answer of RegistryDesk
    (await (await ask({ registry, mode })).json()) as Result<Applied, RegistryProblem>;
  return {
    gateway: { host: entry.hostname, port: Number(entry.port) },
    gatewaysElsewhere: elsewhere?.gateways ?? [],
    ops: { host: opsUrl.hostname, port: Number(opsUrl.port) },
    ledgerUrl: ledgerUrl.origin,
    miniflare,
    async applyRegistry(document) {
      const applied = await apply(document, "replace");
      if (!applied.ok) throw new Error(`registry: ${applied.error.pointer} ${applied.error.problem}`);
    },
    replaceRegistry: (document) => apply(document, "replace"),
    hasClients: async () => (await registry.prepare("SELECT 1 FROM clients LIMIT 1").first()) !== null,
    async keyedClient(issuer, externalId) {
      const row = await registry
        .prepare(
          "SELECT jwks, dpop, unbound_until FROM clients WHERE issuer = ? AND external_client_id = ? AND status = 'active' AND jwks IS NOT NULL",
        )
        .bind(issuer, externalId)
        .first<{ jwks: string; dpop: number; unbound_until: number | null }>();
      if (row === null) return undefined;
      const bound = row.dpop === 1 ? "key" : "certificate";
      return {
        jwks: JSON.parse(row.jwks),
        tokensBoundTo: (row.unbound_until ?? 0) > Date.now() ? "none" : bound,
      };
    },
    addRegistry: (document) => apply(document, "add"),
    admitOperator: async (operator) => void (await ask({ operator })),
    async close() {
      await elsewhere?.close();
      await miniflare.dispose();
    },
  };
}

/**
 * Workers whose calls pass a network of their own, which trusts these authorities. Miniflare's network trusts
 * the authorities that the process read first, and only a worker can take its place. Gateways elsewhere use
 * Miniflare's network.
 */
function throughNetwork(
  authorities: readonly string[] | undefined,
  workers: readonly NamedWorker[],
): NamedWorker[] {
  if (authorities === undefined) return [...workers];
  const name = "phylax-network";
  const tlsOptions = { trustBrowserCas: true, trustedCertificates: [...authorities] };
  const network: NamedWorker = {
    name,
    compatibilityDate: "2026-10-01",
    modules: true,
    script: "export default { fetch: (request, env) => env.NETWORK.fetch(request) };",
    // the addresses of Miniflare's network
    serviceBindings: { NETWORK: { network: { allow: ["public", "private", "240.0.0.0/4"], tlsOptions } } },
  };
  return [...workers.map((worker) => ({ ...worker, outboundService: name })), network];
}

/** Prints a line of workerd, as Miniflare does by itself. */
function print({ level, message }: V4WorkerdStructuredLog): void {
  // under flags of V8 it compiles its own scripts at the start
  if (message.includes("compile cache failed its compatibility check")) return;
  if (level === "error" || level === "warn") console.error(message);
  else console.log(message);
}

/** Miniflare reports an ended workerd only in its log, before it starts a new workerd. */
class CrashWatch extends Log {
  readonly #onCrash: () => void;

  constructor(onCrash: () => void) {
    super(LogLevel.WARN);
    this.#onCrash = onCrash;
  }

  override warn(message: string): void {
    if (message.includes("runtime crashed")) this.#onCrash();
    else super.warn(message);
  }
}

function worker(
  name: WorkerName,
  script: string,
  { vars, secrets, serviceBindings }: WorkerSettings,
): NamedWorker {
  const { modulesRules: _rules, ...options } = workerConfigurationOf(name).workerOptions;
  return {
    ...options,
    // Miniflare's worker before the network passes each request on as it is: to drop this header, which no worker
    // sends, it would copy the request.
    stripCfConnectingIp: false,
    name: `phylax-${name}`,
    modulesRoot: dirname(script),
    modules: [{ type: "ESModule", path: script, contents: readFileSync(script, "utf8") }],
    bindings: Object.assign({}, options.bindings, vars, secrets),
    serviceBindings: Object.assign({}, options.serviceBindings, serviceBindings),
  };
}

/**
 * Works as `wrangler d1 migrations apply` does, in the same table, so that either can follow the other.
 */
async function migrate(registry: D1Database): Promise<void> {
  await registry.exec(
    "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
  );
  const { results } = await registry.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const applied = new Set(results.map(({ name }) => name));
  for (const name of readdirSync(join(root, "migrations"))
    .filter((file) => file.endsWith(".sql"))
    .sort()) {
    if (applied.has(name)) continue;
    const statements = readFileSync(join(root, "migrations", name), "utf8")
      .split("--> statement-breakpoint")
      .filter((sql) => sql.trim() !== "");
    await registry.batch([
      ...statements.map((sql) => registry.prepare(sql)),
      registry.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name),
    ]);
  }
}
