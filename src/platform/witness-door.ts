import { claimedOrigin } from "#ledger/witness";
import { readAddCheckpoint, REQUEST_BYTES_MAX } from "#ledger/witness-request";
import { readWitnessConfig, type WitnessEnv } from "./durable/witness-config.ts";
import type { WitnessAnswer, WitnessMemory } from "./durable/witness-memory.ts";

/** C2SP tlog-witness over HTTP: `POST /add-checkpoint`, with the statuses of the specification. Nobody is authenticated but by the checkpoint's signature. */
export async function serveWitness(
  request: Request,
  env: WitnessEnv & { readonly WITNESS_MEMORY: DurableObjectNamespace<WitnessMemory> },
): Promise<Response> {
  if (new URL(request.url).pathname !== "/add-checkpoint") return text(404, "not found\n");
  if (request.method !== "POST") return text(405, "method not allowed\n", { allow: "POST" });
  const body = await bodyOf(request);
  if (body === undefined) return text(413, "content too large\n");
  const asked = readAddCheckpoint(body);
  const origin = asked && claimedOrigin(asked.checkpoint);
  if (asked === undefined || origin === undefined) return text(400, "malformed\n");
  // Looked up before an object is called by that name: nobody makes objects of logs that are not served.
  if (!readWitnessConfig(env).logs.some(({ name }) => name === origin)) return text(404, "unknown log\n");
  return answer(await env.WITNESS_MEMORY.getByName(origin).addCheckpoint(asked));
}

function answer(given: WitnessAnswer): Response {
  switch (given.verdict) {
    case "cosign":
      return text(200, given.line);
    case "old_size_is_not_the_last":
      return text(409, `${given.size}\n`, { "content-type": "text/x.tlog.size" });
    case "another_root_at_this_size":
      return text(409, "another root at this size\n");
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

const text = (status: number, body: string, headers: Record<string, string> = {}): Response =>
  new Response(body, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff", "cache-control": "no-store", ...headers },
  });
