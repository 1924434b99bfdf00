import { utf8 } from "#kernel/encoded";
import { sha256 } from "#ledger/bytes/hash";
import { claimedOrigin } from "#ledger/tlog/witness";
import { readAddCheckpoint, REQUEST_BYTES_MAX } from "#ledger/tlog/witness-request";
import { type CallCounter, floodRetrySeconds, isBelowFlood } from "#limits/flood";
import { readWitnessConfig, type WitnessEnv } from "#platform/witness/config";
import type { WitnessAnswer, WitnessMemory } from "#platform/witness/object/witness-memory";

type WitnessDoorEnv = WitnessEnv & {
  readonly WITNESS_MEMORY: DurableObjectNamespace<WitnessMemory>;
  readonly WITNESS_CALLS: CallCounter;
};

/**
 * C2SP tlog-witness (text of July 2026) over HTTP: `POST /add-checkpoint`, and `GET /<origin
 * hash>/checkpoint` for monitors. A log is authenticated by its checkpoint's signature; callers are not
 * authenticated. No call creates an object for an unknown log.
 */
export async function serveWitness(request: Request, env: WitnessDoorEnv): Promise<Response> {
  const caller = { certificate: undefined, address: request.headers.get("cf-connecting-ip") ?? "" };
  if (!(await isBelowFlood(env.WITNESS_CALLS, "witness", caller)))
    return text(429, "too many requests\n", { "retry-after": String(floodRetrySeconds) });
  const { pathname } = new URL(request.url);
  const hash = /^\/([0-9a-f]{64})\/checkpoint$/u.exec(pathname)?.[1];
  if (hash !== undefined) return showCheckpoint(request, hash, env);
  if (pathname !== "/add-checkpoint") return text(404, "not found\n");
  if (request.method !== "POST") return text(405, "method not allowed\n", { allow: "POST" });
  const body = await bodyOf(request);
  if (body === undefined) return text(413, "content too large\n");
  const addition = readAddCheckpoint(body);
  const origin = addition && claimedOrigin(addition.checkpoint);
  if (addition === undefined || origin === undefined) return text(400, "malformed\n");
  if (!readWitnessConfig(env).logs.some(({ name }) => name === origin)) return text(404, "unknown log\n");
  return answer(await env.WITNESS_MEMORY.getByName(origin).addCheckpoint(addition));
}

/**
 * "Monitor Retrieval Mechanism". The specification allows an answer up to an hour old; this answer allows a
 * minute.
 */
async function showCheckpoint(request: Request, hash: string, env: WitnessDoorEnv): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD")
    return text(405, "method not allowed\n", { allow: "GET, HEAD" });
  const log = readWitnessConfig(env).logs.find(({ name }) => hex(sha256(utf8(name))) === hash);
  const note: string | undefined = log && (await env.WITNESS_MEMORY.getByName(log.name).checkpoint());
  if (note === undefined) return text(404, "no checkpoint of this log was cosigned\n");
  const headers = { "cache-control": "public, max-age=60", "access-control-allow-origin": "*" };
  return text(200, request.method === "HEAD" ? null : note, headers);
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function answer(given: WitnessAnswer): Response {
  switch (given.verdict) {
    case "cosign":
      return text(200, given.line);
    case "old_size_is_not_the_last":
      return text(409, `${given.size}\n`, { "content-type": "text/x.tlog.size" });
    case "root_not_of_the_empty_tree":
      return text(422, "the root is not that of the empty tree\n");
    case "another_root_at_this_size":
      return text(422, "another root at this size\n"); // 409 in the text of 2025
    case "proof_wrong":
      return text(422, "the consistency proof is wrong\n");
    case "unknown_log":
      return text(404, "unknown log\n");
    case "not_signed":
      return text(403, "not signed by a known key\n");
    case "malformed":
    case "old_size_beyond_the_checkpoint":
      return text(400, "malformed\n");
  }
}

/** The whole body, or undefined when it is longer than any request. */
async function bodyOf(request: Request): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body ?? []) {
    length += part.length;
    if (length > REQUEST_BYTES_MAX) return undefined;
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}

const text = (status: number, body: string | null, headers: Record<string, string> = {}): Response =>
  new Response(body, {
    status,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
      ...headers,
    },
  });
