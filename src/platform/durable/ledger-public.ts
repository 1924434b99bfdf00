import { type Address, type AddressProblem, readAddress } from "#ledger/address";
import { TILE_WIDTH } from "#ledger/tile";
import { parseLogName } from "#ledger/log-name";
import { keptUntil, ROOT_LOG } from "#ledger/root-log";
import { REMOVED } from "./ledger-flush.ts";
import type { LedgerRoot } from "./ledger-root.ts";
import type { LedgerShard } from "./ledger-shard.ts";

const forever = "public, max-age=31536000, immutable";
const partial = "public, max-age=3600"; // a partial tile never changes either, but soon nobody asks for it again
const fresh = "public, max-age=1";
const open = { "access-control-allow-origin": "*", "x-content-type-options": "nosniff" };

interface Ledger {
  readonly shards: DurableObjectNamespace<LedgerShard>;
  readonly root: DurableObjectNamespace<LedgerRoot>;
  readonly count: number;
}

/** Answers the public addresses of the ledger (DESIGN §3): every object is public and checks itself, so anyone may read. */
export async function serveLedger(request: Request, { shards, root, count }: Ledger): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") return problem(405, "method-not-allowed", { allow: "GET, HEAD" });
  const address = readAddress(new URL(request.url).pathname);
  if (!address.ok) return problem(statusOf(address.error), address.error.replaceAll("_", "-"));
  const { log } = address.value;
  if (log !== ROOT_LOG && (parseLogName(log)?.shard ?? count) >= count) return problem(404, "no-such-address");
  const object = log === ROOT_LOG ? root.getByName(log) : shards.getByName(log);
  const bytes = await read(object, address.value).catch(() => null); // the object's own log says why
  if (bytes === undefined || (bytes === null && (await isGone(object, log)))) return problem(404, "not-found");
  if (bytes === null) return problem(503, "unavailable", { "retry-after": "1" });
  const headers = { ...open, ...headersOf(address.value), "content-length": String(bytes.length) };
  return new Response(request.method === "HEAD" ? null : bytes, { headers });
}

function read(shard: DurableObjectStub<LedgerShard> | DurableObjectStub<LedgerRoot>, address: Address): Promise<Uint8Array | undefined> {
  switch (address.kind) {
    case "checkpoint":
      return shard.checkpoint();
    case "tile":
      return shard.tile(address.level, address.index, address.width);
    case "entries":
      return shard.entries(address.index, address.width);
    case "frame":
      return shard.frame(address.number);
    case "proof":
      return shard.proof(address.index);
  }
}

/** What was removed after its six years cannot be read any more, and is not missed: not so what cannot be read for another reason. */
async function isGone(object: DurableObjectStub<LedgerShard> | DurableObjectStub<LedgerRoot>, log: string): Promise<boolean> {
  if (Date.now() < (keptUntil(log) ?? Infinity)) return false;
  const { why } = await object.status().catch(() => ({ why: null }));
  return why === REMOVED;
}

function headersOf(address: Address): Record<string, string> {
  switch (address.kind) {
    case "checkpoint":
    case "proof":
      return { "content-type": "text/plain; charset=utf-8", "cache-control": fresh };
    case "tile":
    case "entries":
      return { "content-type": "application/octet-stream", "cache-control": address.width === TILE_WIDTH ? forever : partial };
    case "frame":
      return { "content-type": "application/octet-stream", "cache-control": forever };
  }
}

const statusOf = (error: AddressProblem): number => (error === "malformed_address" ? 400 : 404);

/** RFC 9457 problem details. */
function problem(status: number, reason: string, headers: Record<string, string> = {}): Response {
  const body = JSON.stringify({ type: "about:blank", title: reason, status });
  return new Response(body, {
    status,
    headers: { ...open, ...headers, "content-type": "application/problem+json", "cache-control": "no-store" },
  });
}
