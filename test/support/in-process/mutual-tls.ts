import type { IncomingHttpHeaders } from "node:http";
import { Readable } from "node:stream";
import type { Reply, Sending } from "../../../cli/connection/mutual-tls.ts";
import { edgeFacts } from "./edge-facts.ts";
import { handlerAt } from "./network.ts";

export type { Reply, Sending };

/** Called with each exchange that came through `send`. */
export type Listener = (request: Request, sent: string, reply: Reply) => void;

const listeners = new Set<Listener>();

/** Calls the listener with each exchange from now on. Returns a function that ends this. */
export function onExchange(listener: Listener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/**
 * `cli/connection/mutual-tls.ts` for doors in this process: the request goes to the handler of its host, with the facts
 * that the edge would report about the caller's certificate. test/door/vitest.config.ts replaces the module
 * with this file.
 */
export async function openRequest(...asked: Parameters<typeof exchange>) {
  const { response } = await exchange(...asked);
  const body = Readable.from(response.body ?? []);
  return { status: response.status, headers: replyHeaders(response.headers), body };
}

/** As {@link openRequest}, with the whole body. */
export async function send(...asked: Parameters<typeof exchange>): Promise<Reply> {
  const { request, response } = await exchange(...asked);
  const reply = {
    status: response.status,
    headers: replyHeaders(response.headers),
    text: await response.text(),
  };
  const body = asked[3]?.body;
  for (const listener of listeners)
    listener(request, body === undefined ? "" : Buffer.from(body).toString("utf8"), reply);
  return reply;
}

async function exchange(
  trust: { readonly ca: string; readonly clientCa?: { readonly cert: string } },
  identity: { readonly cert: string } | undefined,
  url: string,
  sending: Sending = {},
) {
  const handler = handlerAt(new URL(url).host);
  if (handler === undefined) throw new Error(`no door of this process has the host ${new URL(url).host}`);
  const request = requestOf(
    trust.clientCa?.cert ?? trust.ca.replace(/ca\.pem$/u, "client-ca.pem"),
    identity?.cert,
    url,
    sending,
  );
  return { request, response: await handler(request) };
}

/**
 * The request as a worker gets it from the edge. `authority` and `certificate` are paths. `undefined`: the
 * caller shows no certificate.
 */
export function requestOf(
  authority: string,
  certificate: string | undefined,
  url: string,
  { method = "GET", headers = {}, body }: Sending,
  /** Further facts that the edge reports, such as `continent`. */
  further: object = {},
) {
  const request = new Request(url, {
    method,
    headers: headersOf(headers),
    ...(body !== undefined && { body: bytesOf(body) }),
  });
  Object.defineProperty(request, "cf", { value: { ...edgeFacts(certificate, authority), ...further } });
  return request;
}

/** There are no connections to end. */
export function closeConnections(): void {}

function headersOf(headers: NonNullable<Sending["headers"]>): Headers {
  const all = new Headers();
  for (const [name, values] of Object.entries(headers))
    for (const value of [values].flat()) all.append(name, value);
  return all;
}

/** Headers as Node's parser has them: one value for each name, except cookies. */
function replyHeaders(headers: Headers): IncomingHttpHeaders {
  const cookies = headers.getSetCookie();
  return { ...Object.fromEntries(headers), ...(cookies.length > 0 && { "set-cookie": cookies }) };
}

const bytesOf = (body: string | Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(body));
