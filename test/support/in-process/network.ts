import { byteStream } from "./byte-stream.ts";

/** Answers a request that would leave this process. */
export type Handler = (request: Request) => Response | Promise<Response>;

const places = new Map<string, Handler>();
const outside = globalThis.fetch;

/**
 * From now on `fetch` of this process asks the handler for this `host:port`, without a socket. Requests to other places leave as before. An
 * aborted request rejects at once, as one over a socket does. Answers how to end that.
 */
export function serveAt(host: string, handler: Handler): () => void {
  if (places.has(host)) throw new Error(`${host} is taken`);
  places.set(host, handler);
  globalThis.fetch = inProcess;
  return () => void places.delete(host);
}

/** The handler of a place in this process. */
export const handlerAt = (host: string): Handler | undefined => places.get(host);

const inProcess: typeof fetch = async (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input.toString());
  const handler = places.get(url.host);
  const answer = await (handler === undefined ? outside(input, init) : asked(handler, input, init));
  return answer.body === null ? answer : new Response(byteStream(answer.body), answer);
};

async function asked(handler: Handler, ...[input, init]: Parameters<typeof fetch>): Promise<Response> {
  const signal = init?.signal ?? undefined;
  signal?.throwIfAborted();
  const answer = Promise.resolve(handler(new Request(input, init)));
  if (signal === undefined) return answer;
  const aborted = Promise.withResolvers<never>();
  const stop = () => aborted.reject(signal.reason as Error); // an AbortSignal's reason is a DOMException unless somebody gave another
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([answer, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
