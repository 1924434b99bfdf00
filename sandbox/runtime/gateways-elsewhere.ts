import { rmSync } from "node:fs";
import { join } from "node:path";
import { instant } from "#kernel/clock";
import { openLogs } from "#ledger/log-name";
import {
  convertV4MiniflareOptions,
  Miniflare,
  type V4MiniflareOptions,
  type V4WorkerOptions,
} from "miniflare";

export type NamedWorker = V4WorkerOptions & { name: string };

/** The first process. The added gateways use its control, guards, ledger and registry. */
interface Home {
  /** Its state folder, and its options when it was opened to further processes. */
  readonly statePath: string;
  readonly gateway: NamedWorker;
  readonly ledgerUrl: string;
  readonly output: Pick<V4MiniflareOptions, "log" | "handleStructuredLogs">;
}

/** A gateway in its own workerd process. */
interface GatewayElsewhere {
  readonly host: string;
  readonly port: number;
}

/**
 * Opens the first process to further processes. They find its workers and Durable Objects by Miniflare's
 * registry, call them by Cap'n Proto over workerd's debug port, and query its D1. That port is a random port
 * on loopback and needs no password, so it is opened only on request.
 */
export function openToOthers(options: V4MiniflareOptions, statePath: string): Miniflare {
  // entries that a killed run left would count for 90 s
  rmSync(elsewhere(statePath), { recursive: true, force: true });
  return connected(options, statePath, statePath);
}

/**
 * Starts the gateway `count` more times, each in its own workerd process, so that no two share memory. The
 * bindings of wrangler.toml are the only connection between them, as between two cities.
 */
export async function startElsewhere(count: number, { statePath, gateway, ledgerUrl, output }: Home) {
  await wakeShards(ledgerUrl, Number(gateway.bindings?.["LEDGER_SHARDS"]));
  const started = Array.from({ length: count }, (_, i) => {
    const name = `${gateway.name}-${i + 1}`;
    const workers = [{ ...gateway, name, unsafeRegisterWorker: false }];
    return connected(
      { host: "127.0.0.1", port: 0, cf: false, ...output, workers },
      statePath,
      join(elsewhere(statePath), name),
    );
  });
  const close = async () => void (await Promise.all(started.map((one) => one.dispose())));
  try {
    const entries = await Promise.all(started.map((one) => one.ready));
    const gateways = entries.map(({ hostname, port }): GatewayElsewhere => ({
      host: hostname,
      port: Number(port),
    }));
    return { gateways, close };
  } catch (fault) {
    await close();
    throw fault;
  }
}

/** A shard that is never evicted, so that it keeps the name of its first call. */
export function keptAwake(ledger: NamedWorker): NamedWorker {
  const shards = { className: "LedgerShard", useSQLite: true, unsafePreventEviction: true };
  return { ...ledger, durableObjects: { ...ledger.durableObjects, LEDGER_SHARD: shards } };
}

/**
 * Over the debug port an object is called by its id alone, and a shard learns its log from its name: the
 * first process calls it first.
 */
async function wakeShards(ledgerUrl: string, shards: number): Promise<void> {
  for (const log of openLogs(shards, instant(Date.now()))) {
    const answer = await fetch(`${ledgerUrl}/${log}/checkpoint`);
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`the ledger's ${log} answered ${answer.status}`);
  }
}

/** The first process owns the shared D1. Each process keeps every further file of Miniflare for itself. */
function connected(options: V4MiniflareOptions, statePath: string, ownPath: string): Miniflare {
  const registry = join(elsewhere(statePath), "registry");
  return new Miniflare({
    ...convertV4MiniflareOptions({ ...options, resourcePersistencePath: statePath }),
    enableDevRegistry: true,
    unsafeDevRegistryPath: registry,
    unsafeEnableSharedStorage: true,
    isolatedResourcePersistencePath: ownPath,
  });
}

const elsewhere = (statePath: string) => join(statePath, "elsewhere");
