import { waitUntil } from "cloudflare:workers";
import { type Clock, instant } from "#kernel/clock";
import { type Address, type AddressProblem, readAddress } from "#ledger/address";
import { retainedUntil, ROOT_LOG } from "#ledger/root-log";
import { TILE_WIDTH } from "#ledger/tlog/tile";
import { type CallCounter, floodRetrySeconds, isBelowFlood } from "#limits/flood";
import { LedgerBucket } from "#platform/ledger/object/log/bucket";
import { type LedgerEnv, readLedgerPlacement } from "#platform/ledger/config";
import { logStubs } from "#platform/ledger/client/stubs";
import type { LedgerPlacement, PlacementVariables } from "#platform/ledger/placement";
import { REMOVED } from "#platform/ledger/object/copy/flush";
import type { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { servedCheckScript } from "./check-script.gen.ts";
import { OpenedLogs } from "./opened-logs.ts";
import {
  type ObjectCache,
  PublicLog,
  PublicLogCache,
  type ServedObject,
  TooManyReads,
} from "./public-log.ts";

const forever = "public, max-age=31536000, immutable";
// a partial tile never changes either, but soon no reader asks for it again
const partial = "public, max-age=3600";
const fresh = "public, max-age=1";
const open = { "access-control-allow-origin": "*", "x-content-type-options": "nosniff" };

/** The bindings and variables that the ledger's public worker needs. */
export type LedgerDoorEnv = Pick<LedgerEnv, "LEDGER_NAME" | keyof PlacementVariables> & {
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
  readonly LEDGER_ROOT: DurableObjectNamespace<LedgerRoot>;
  readonly LEDGER_BUCKET: R2Bucket;
  readonly PUBLIC_READS: CallCounter;
  /** Counts the reads that reach the Durable Object which commits the log's records. */
  readonly OBJECT_READS: CallCounter;
};

/**
 * Serves the public addresses of the ledger. Every object is public and checks itself, so anyone may read
 * (P5).
 */
export class LedgerDoor {
  readonly #env: LedgerDoorEnv;
  readonly #placement: LedgerPlacement;
  readonly #bucket: LedgerBucket;
  readonly #logs: OpenedLogs;
  readonly #memory = new PublicLogCache();
  readonly #clock: Clock = () => instant(Date.now());

  constructor(env: LedgerDoorEnv) {
    this.#env = env;
    this.#bucket = new LedgerBucket(env.LEDGER_BUCKET);
    this.#placement = readLedgerPlacement(env);
    const rootOf = logStubs(env.LEDGER_ROOT, this.#placement);
    this.#logs = new OpenedLogs(rootOf, this.#placement.layout.shards, this.#clock);
  }

  async serve(request: Request): Promise<Response> {
    if (request.method !== "GET" && request.method !== "HEAD")
      return problem(405, "method-not-allowed", { allow: "GET, HEAD" });
    const { origin, pathname } = new URL(request.url);
    if (pathname === `/${servedCheckScript.path}`) return scriptAnswer(request.method);
    const address = readAddress(pathname);
    if (!address.ok) return problem(statusOf(address.error), address.error.replaceAll("_", "-"));
    const caller = { certificate: undefined, address: request.headers.get("cf-connecting-ip") ?? "" };
    if (!(await isBelowFlood(this.#env.PUBLIC_READS, "ledger", caller))) return tooMany();
    const { log } = address.value;
    const isKnown = await this.#logs.has(log).catch(() => null);
    if (isKnown === null) return problem(503, "unavailable", { "retry-after": "1" });
    if (!isKnown) return problem(404, "no-such-address");
    const mayAskObject = () => isBelowFlood(this.#env.OBJECT_READS, "ledger object", caller);
    const object = await this.#read(address.value, origin, mayAskObject).catch((fault: unknown) =>
      fault instanceof TooManyReads ? fault : null,
    );
    if (object instanceof TooManyReads) return tooMany();
    // The object's own log explains a null.
    if (object === undefined || (object === null && (await this.#isDeleted(log))))
      return problem(404, "not-found");
    if (object === null) return problem(503, "unavailable", { "retry-after": "1" });
    const headers = { ...open, ...headersOf(address.value), "content-length": String(object.length) };
    if (request.method === "GET") return new Response(object.body, { headers });
    if (object.body instanceof ReadableStream) await object.body.cancel();
    return new Response(null, { headers });
  }

  #read(
    address: Address,
    origin: string,
    mayAskObject: () => Promise<boolean>,
  ): Promise<ServedObject | undefined> {
    const { log } = address;
    // a deleted log must not live on in the cache
    const mayBeDeleted = this.#clock() >= (retainedUntil(log) ?? Infinity);
    return new PublicLog({
      log,
      origin: `${this.#env.LEDGER_NAME}/${log}`,
      object: this.#objectOf(log),
      bucket: this.#bucket,
      cache: mayBeDeleted ? noCache : cacheAt(origin),
      mayAskObject,
      memory: this.#memory,
      clock: this.#clock,
    }).read(address);
  }

  /**
   * True for a log that was deleted after its six years: its objects are expected to be absent. Objects that
   * cannot be read for a different reason are not.
   */
  async #isDeleted(log: string): Promise<boolean> {
    if (this.#clock() < (retainedUntil(log) ?? Infinity)) return false;
    const { why } = await this.#objectOf(log)
      .status()
      .catch(() => ({ why: null }));
    return why === REMOVED;
  }

  #objectOf(log: string): DurableObjectStub<LedgerShard> | DurableObjectStub<LedgerRoot> {
    return log === ROOT_LOG
      ? logStubs(this.#env.LEDGER_ROOT, this.#placement)(log)
      : logStubs(this.#env.LEDGER_SHARD, this.#placement)(log);
  }
}

/**
 * Cloudflare's cache in this city, under the worker's own name and without queries. An object that is not in
 * it is read again.
 */
const cacheAt = (origin: string): ObjectCache => ({
  async get(path) {
    try {
      const found = await caches.default.match(`${origin}/${path}`);
      return found?.bytes();
    } catch {
      return undefined;
    }
  },
  put(path, bytes) {
    const copy = new Response(bytes, {
      headers: { "cache-control": forever, "content-type": "application/octet-stream" },
    });
    waitUntil(putInCache(`${origin}/${path}`, copy));
  },
});

/** Stores an answer in the cache. On failure it is read again later. */
async function putInCache(address: string, answer: Response): Promise<void> {
  try {
    await caches.default.put(address, answer);
  } catch {
    return;
  }
}

const noCache: ObjectCache = { get: () => Promise.resolve(undefined), put: () => undefined };

function headersOf(address: Address): Record<string, string> {
  switch (address.kind) {
    case "checkpoint":
    case "proof":
    case "copies":
      return { "content-type": "text/plain; charset=utf-8", "cache-control": fresh };
    case "tile":
    case "entries":
      return {
        "content-type": "application/octet-stream",
        "cache-control": address.width === TILE_WIDTH ? forever : partial,
      };
    case "frame":
    case "frames":
      return { "content-type": "application/octet-stream", "cache-control": forever };
  }
}

/** The script of accountings' pages: static, public, and named by its content. */
const scriptAnswer = (method: string): Response =>
  new Response(method === "HEAD" ? null : servedCheckScript.text, {
    headers: { ...open, "content-type": "text/javascript; charset=utf-8", "cache-control": forever },
  });

const statusOf = (error: AddressProblem): number => (error === "malformed_address" ? 400 : 404);

const tooMany = (): Response =>
  problem(429, "too-many-requests", { "retry-after": String(floodRetrySeconds) });

/** RFC 9457 problem details. */
function problem(status: number, reason: string, headers: Record<string, string> = {}): Response {
  const body = JSON.stringify({ type: "about:blank", title: reason, status });
  return new Response(body, {
    status,
    headers: { ...open, ...headers, "content-type": "application/problem+json", "cache-control": "no-store" },
  });
}
