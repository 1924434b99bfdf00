import { AsyncLocalStorage } from "node:async_hooks";
import { byteStream } from "./byte-stream.ts";

/** Answers a request that would leave this process. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** Handlers by `host:port`. */
export type Places = ReadonlyMap<string, Handler>;

const everywhere = new Map<string, Handler>();
const here = new AsyncLocalStorage<Places>();
const outside = globalThis.fetch;

/**
 * From now on `fetch` of this process asks the handler for this `host:port`, without a socket. Requests to
 * unlisted hosts leave as before. An aborted request rejects at once, as a request over a socket does.
 * Returns a function that ends this.
 */
export function serveAt(host: string, handler: Handler): () => void {
  if (everywhere.has(host)) throw new Error(`${host} is taken`);
  everywhere.set(host, handler);
  globalThis.fetch = inProcess;
  return () => void everywhere.delete(host);
}

/** Runs a function in which `fetch` finds these places first, before the places of the whole process. */
export function among<T>(places: Places, act: () => T): T {
  globalThis.fetch = inProcess;
  return here.run(places, act);
}

/** The handler of a place in this process. */
export const handlerAt = (host: string): Handler | undefined =>
  here.getStore()?.get(host) ?? everywhere.get(host);

const inProcess: typeof fetch = async (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input.toString());
  const handler = handlerAt(url.host);
  const answer = await (handler === undefined ? outside(input, init) : asked(handler, input, init));
  return answer.body === null ? answer : new Response(byteStream(answer.body), answer);
};

async function asked(handler: Handler, ...[input, init]: Parameters<typeof fetch>): Promise<Response> {
  const signal = init?.signal ?? undefined;
  signal?.throwIfAborted();
  const answer = Promise.resolve(handler(new Request(input, init)));
  if (signal === undefined) return answer;
  const aborted = Promise.withResolvers<never>();
  // an AbortSignal's reason is a DOMException unless the caller of `abort` gave another
  const stop = () => aborted.reject(signal.reason as Error);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const response = await Promise.race([answer, aborted.promise]);
    // as over a socket, the signal also ends a body that is still on its way
    const body = response.body?.pipeThrough(new TransformStream(), { signal });
    return body === undefined ? response : new Response(body, response);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
