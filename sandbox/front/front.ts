import { constants, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { pipeline, type Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { CertificateFiles } from "../certificates.ts";
import { endAtOnce } from "../end-at-once.ts";
import { BodiesUnderWay } from "./bodies-under-way.ts";
import { edgeFacts } from "./edge-facts.ts";
import {
  face,
  parserRefusal,
  rawAnswer,
  refusals,
  refuseTransport,
  type TransportRefusal,
} from "./transport-refusal.ts";

export interface FrontOptions {
  /** 0: a port that the system chooses. */
  readonly port: number;
  readonly host?: string;
  readonly server: CertificateFiles;
  /** Path of the authority (PEM) that signs valid client certificates. */
  readonly clientCa: string;
  /**
   * Certificates (x5t#S256) that the authority has revoked; read at each request, so a change takes effect at
   * once.
   */
  readonly revoked?: ReadonlySet<string>;
  /**
   * The Worker's plain HTTP socket. Any process that connects to it can forge `cf`, so it is on loopback and
   * a random port.
   */
  readonly target: { readonly host: string; readonly port: number };
}

export interface Front {
  readonly port: number;
  /** Ends every connection at once, idle or not. */
  close(): Promise<void>;
}

// The parser's limit: far more than the permitted size, so that an overlong URL is still recognised as too
// long.
const parserBytesMax = 1_048_576;
// Requests beyond these wait in the agent's queue: thousands at once never exhaust ports or workerd's
// descriptors. A body holds its socket until its sender has sent it, so requests without a body have sockets of
// their own.
const [upstreamSocketsMax, bodySocketsMax] = [256, 128];
// workerd closes an idle connection after 5 s. The front closes first, so no request is sent into a closing
// connection.
const upstreamIdleMilliseconds = 3_000;

/**
 * Terminates TLS 1.3 as Cloudflare's edge does, and hands a local Worker `request.cf` that no client can
 * forge.
 */
export async function startFront({
  port,
  host = "127.0.0.1",
  server: files,
  clientCa,
  revoked = new Set(),
  target,
}: FrontOptions): Promise<Front> {
  const [cert, key, ca] = await Promise.all([readFile(files.cert), readFile(files.key), readFile(clientCa)]);
  const agentOf = (maxSockets: number) =>
    new Agent({ keepAlive: true, maxSockets, maxFreeSockets: maxSockets, timeout: upstreamIdleMilliseconds });
  const agents = { plain: agentOf(upstreamSocketsMax), framed: agentOf(bodySocketsMax) };
  const bodies = new BodiesUnderWay(bodySocketsMax);
  const edge = edgeFacts([new X509Certificate(ca)], revoked);
  const answering = new WeakMap<Duplex, { readonly req: IncomingMessage; readonly res: ServerResponse }>();
  // connections with a malformed message: the bytes after it are not a request
  const ending = new WeakSet<Duplex>();

  const server = createServer({
    cert,
    key,
    ca,
    minVersion: "TLSv1.3",
    requestCert: true,
    rejectUnauthorized: false, // a failed certificate is a fact for the Worker to judge, as at Cloudflare
    // a resumed session would extend its verdict past the certificate's end
    secureOptions: constants.SSL_OP_NO_TICKET,
    maxHeaderSize: parserBytesMax,
    requireHostHeader: false, // checked below, with a body
    headersTimeout: 15_000,
    requestTimeout: 120_000,
    keepAliveTimeout: 60_000,
  });
  const end = endAtOnce(server);

  const serve = (req: IncomingMessage, res: ServerResponse) => {
    if (ending.has(req.socket)) return;
    answering.set(req.socket, { req, res });
    const refusal = refuseTransport(req);
    if (refusal === refusals.malformed) {
      ending.add(req.socket);
      res.setHeader("Connection", "close");
    }
    if (refusal !== undefined) return answer(res, refusal);
    if (req.headers.expect !== undefined) res.writeContinue();
    const socket = req.socket as TLSSocket; // of an https server
    if (!framed(req)) return forward(req, res, target, agents.plain, edge(socket));
    if (!bodies.take(socket.getPeerX509Certificate()?.fingerprint256 ?? socket.remoteAddress ?? "", req))
      return answer(res, refusals.bodiesWait);
    forward(req, res, target, agents.framed, edge(socket));
  };
  server.on("request", serve);
  server.on("checkContinue", serve);
  server.on("checkExpectation", (_req, res: ServerResponse) => answer(res, refusals.expectation));
  server.on("connect", (_req, socket) => hangUp(socket, refusals.method));
  server.on("clientError", (fault: NodeJS.ErrnoException, socket) => {
    const refusal = parserRefusal(fault.code);
    const { req, res } = answering.get(socket) ?? {};
    if (refusal === undefined || (res?.headersSent === true && !res.writableEnded)) socket.destroy();
    // The message was answered before its fault was seen.
    else if (ending.has(socket) || (res?.writableEnded === true && req?.complete === false)) hangUp(socket);
    else hangUp(socket, refusal);
  });

  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen({ port, host, backlog: 4096 }, listening);
  });
  return {
    port: (server.address() as AddressInfo).port, // a TCP server that listens has an address with a port
    close() {
      agents.plain.destroy();
      agents.framed.destroy();
      return end();
    },
  };
}

function answer(res: ServerResponse, refusal: TransportRefusal): void {
  const { body, headers } = face(refusal);
  res.writeHead(refusal.status, headers).end(body);
}

/**
 * Answers on the bare socket, then reads on for a moment: closing on unread bytes would reset the answer
 * away.
 */
function hangUp(socket: Duplex, refusal?: TransportRefusal): void {
  if (!socket.writable || socket.writableEnded) return;
  if (refusal === undefined) socket.end();
  else socket.end(rawAnswer(refusal));
  socket.on("error", () => socket.destroy());
  socket.resume();
  setTimeout(() => socket.destroy(), 1_000).unref();
}

// Hop-by-hop headers (RFC 9110 §7.6.1) and the headers that the front answers itself.
const hop = new Set([
  "connection",
  "expect",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
// Headers that only an edge may set. Miniflare trusts mf-*, and a gateway may trust the rest.
const forgeable =
  /^(?:mf-|cf-|x-forwarded-|x-front-|client-cert|x-real-ip$|x-client-ip$|true-client-ip$|cdn-loop$|forwarded$)/u;

function forward(
  req: IncomingMessage,
  res: ServerResponse,
  target: FrontOptions["target"],
  agent: Agent,
  edge: readonly string[],
): void {
  const upstream = httpRequest({
    ...target,
    agent,
    method: req.method,
    path: req.url,
    setDefaultHeaders: false,
    headers: [
      ...kept(req, (name) => name !== "content-length" && !forgeable.test(name)),
      ...framing(req),
      ...edge,
    ],
  });
  // Reads the rest of the client's body: the client would wait for that for ever, and its next request would
  // come after the rest.
  const leave = () => {
    req.unpipe(upstream);
    req.resume();
    upstream.destroy();
  };
  upstream.on("response", (reply) => {
    if (threw(reply)) {
      reply.resume();
      return answer(res, refusals.workerFailed);
    }
    res.writeHead(
      reply.statusCode ?? 502,
      reply.statusMessage,
      kept(reply, (name) => !name.startsWith("mf-")),
    );
    reply.on("end", () => {
      if (!upstream.writableFinished) leave(); // the Worker answered and reads no further
    });
    // When the body fails half-way, this destroys the client's connection: a broken transfer, never a clean
    // end.
    pipeline(reply, res, () => {});
  });
  upstream.on("error", (fault: NodeJS.ErrnoException) => {
    leave();
    if (res.headersSent) res.destroy();
    else answer(res, fault.code === "ECONNREFUSED" ? refusals.workerDown : refusals.workerBroke);
  });
  res.on("close", () => {
    if (!res.writableFinished) upstream.destroy(); // the client left, so the Worker can stop
  });
  if (framed(req)) req.pipe(upstream);
  else upstream.end();
}

const framed = ({ headers }: IncomingMessage) =>
  headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
// No content is expected with these methods (RFC 9110 §8.6): without a length they have no content.
const contentUnexpected = new Set(["GET", "HEAD", "DELETE", "OPTIONS"]);

/**
 * Frames the body by the parser's result, never by a client's headers: an unframed body is a second request
 * on a pooled connection.
 */
function framing({ method = "", headers }: IncomingMessage): string[] {
  if (headers["transfer-encoding"] !== undefined) return ["Transfer-Encoding", "chunked"];
  if (headers["content-length"] !== undefined) return ["Content-Length", headers["content-length"]];
  return contentUnexpected.has(method) ? [] : ["Content-Length", "0"];
}

/**
 * A failure without the Worker's own text: Miniflare's stack, or workerd's bare 500. An edge would show its
 * own page.
 */
function threw({ statusCode, headers }: IncomingMessage): boolean {
  const json = /^application\/(?:[\w.-]+\+)?json(?:;|$)/iu.test(headers["content-type"] ?? "");
  return statusCode === 500 && (!json || headers["mf-experimental-error-stack"] !== undefined);
}

function kept(message: IncomingMessage, allowed: (name: string) => boolean): string[] {
  const named = new Set(message.headers.connection?.toLowerCase().split(/\s*,\s*/u));
  const headers: string[] = [];
  for (let i = 0; i < message.rawHeaders.length; i += 2) {
    const [name = "", value = ""] = message.rawHeaders.slice(i, i + 2);
    const lower = name.toLowerCase();
    if (!hop.has(lower) && !named.has(lower) && allowed(lower)) headers.push(name, value);
  }
  return headers;
}
