import { rmSync } from "node:fs";
import { join } from "node:path";
import { instant } from "#kernel/clock";
import { openLogs } from "#ledger/log-name";
import {
  convertV4MiniflareOptions,
  type Log,
  Miniflare,
  type V4MiniflareOptions,
  type V4WorkerOptions,
} from "miniflare";

type NamedWorker = V4WorkerOptions & { name: string };

/** The first process, whose control, guards, ledger and registry the others use. */
interface Home {
  /** Where it keeps its state; what it was opened to the others with. */
  readonly statePath: string;
  readonly gateway: NamedWorker;
  readonly ledgerUrl: string;
  readonly log: Log;
}

/** A gateway in a workerd process of its own. */
interface GatewayElsewhere {
  readonly host: string;
  readonly port: number;
}

/**
 * Opens the first process to others: they find its workers and Durable Objects by Miniflare's registry, call them by Cap'n Proto over
 * workerd's debug port, and ask its D1. That port is a random one on loopback and asks for no password, so nobody opens it unasked.
 */
export function openToOthers(options: V4MiniflareOptions, statePath: string): Miniflare {
  rmSync(elsewhere(statePath), { recursive: true, force: true }); // entries that a killed run left would count for 90 s
  return connected(options, statePath, statePath);
}

/**
 * The gateway once more, `count` times: each in a workerd process of its own, so that no two have any memory in common. The only ways from
 * one to another are the bindings of wrangler.toml, as between two cities.
 */
export async function startElsewhere(count: number, { statePath, gateway, ledgerUrl, log }: Home) {
  await wakeShards(ledgerUrl, Number(gateway.bindings?.["LEDGER_SHARDS"]));
  const started = Array.from({ length: count }, (_, i) => {
    const name = `${gateway.name}-${i + 1}`;
    const guards = { className: "ClientGuard", scriptName: gateway.name };
    const durableObjects = { ...gateway.durableObjects, CLIENT_GUARD: guards };
    const workers = [{ ...gateway, name, durableObjects, unsafeRegisterWorker: false }];
    return connected(
      { host: "127.0.0.1", port: 0, cf: false, log, workers },
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

/** A shard that is never evicted, so that it keeps the name it was first called by. */
export function keptAwake(ledger: NamedWorker): NamedWorker {
  const shards = { className: "LedgerShard", useSQLite: true, unsafePreventEviction: true };
  return { ...ledger, durableObjects: { ...ledger.durableObjects, LEDGER_SHARD: shards } };
}

/** Over the debug port an object is called by its id alone, and a shard knows its log by its name: someone at home calls it first. */
async function wakeShards(ledgerUrl: string, shards: number): Promise<void> {
  for (const log of openLogs(shards, instant(Date.now()))) {
    const answer = await fetch(`${ledgerUrl}/${log}/checkpoint`);
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`the ledger's ${log} answered ${answer.status}`);
  }
}

/** The process that was there first owns the shared D1; all else that Miniflare keeps, each keeps for itself. */
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
