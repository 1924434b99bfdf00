import { once } from "node:events";
import { readFileSync } from "node:fs";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from "node:http";
import { request, type Agent } from "node:https";
import { createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { connect, type TLSSocket } from "node:tls";
import type { CertificateFiles } from "../../sandbox/certificates.ts";

export interface Ask {
  readonly port: number;
  readonly ca: string;
  readonly as?: CertificateFiles;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly agent?: Agent;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Sends one request over its own connection. Rejects when the transfer breaks. */
export async function ask({
  port,
  ca,
  as,
  path = "/",
  method = "GET",
  headers = {},
  body,
  agent,
}: Ask): Promise<Answer> {
  const response = await new Promise<IncomingMessage>((answered, failed) => {
    const sent = request({
      host: "localhost",
      port,
      path,
      method,
      headers,
      ca: readFileSync(ca),
      agent: agent ?? false,
      ...pair(as),
    });
    sent.on("response", answered).on("error", failed).end(body);
  });
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
}

/**
 * Sends raw bytes over TLS, for messages that no HTTP client would send. Returns the first answer, head and
 * whole body.
 */
export async function askRaw(port: number, ca: string, bytes: string): Promise<string> {
  const socket = await open(port, ca);
  socket.write(bytes, "latin1");
  let answer = "";
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    answer += chunk.toString("latin1");
    const length = Number(
      /^content-length: (?<length>\d+)\r$/imu.exec(answer)?.groups?.["length"] ?? Number.NaN,
    );
    // leaving the loop destroys the socket
    if (answer.length >= answer.indexOf("\r\n\r\n") + 4 + length) break;
  }
  return answer;
}

/**
 * Sends raw bytes and returns every byte that the front sends until it ends the connection, or for two
 * seconds.
 */
export async function everything(port: number, ca: string, bytes: string): Promise<string> {
  const socket = await open(port, ca);
  const late = setTimeout(() => socket.destroy(), 2_000);
  socket.on("error", () => {});
  socket.write(bytes, "latin1");
  let answer = "";
  socket.on("data", (chunk: Buffer) => (answer += chunk.toString("latin1")));
  await once(socket, "close");
  clearTimeout(late);
  return answer;
}

export function open(port: number, ca: string, as?: CertificateFiles): Promise<TLSSocket> {
  const socket = connect({
    host: "127.0.0.1",
    servername: "localhost",
    port,
    ca: readFileSync(ca),
    ...pair(as),
  });
  return new Promise((secured, failed) => {
    socket.once("secureConnect", () => secured(socket)).once("error", failed);
  });
}

export const pair = (as: CertificateFiles | undefined) =>
  as && { cert: readFileSync(as.cert), key: readFileSync(as.key) };

/** A server in place of the Worker. */
export async function worker(answer: (...asked: Parameters<RequestListener>) => unknown): Promise<{
  readonly target: { host: string; port: number };
  readonly server: Server;
  readonly close: () => void;
}> {
  const server = createServer({ maxHeaderSize: 262_144 }, (req, res) => {
    answer(req, res);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { target: { host: "127.0.0.1", port: (server.address() as AddressInfo).port }, server, close };
}

/**
 * A TCP server that returns the bytes since the last call, and answers 200 at the end of each HTTP request.
 */
export async function rawTarget(): Promise<{
  host: string;
  port: number;
  take: () => string;
  close: () => void;
}> {
  let seen = "";
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.on("data", (bytes) => {
      seen += bytes.toString("latin1");
      if (complete(seen)) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  const take = () => {
    const bytes = seen;
    seen = "";
    return bytes;
  };
  return { host: "127.0.0.1", port, take, close };
}

/** Reads by RFC 9112 §6.3 itself, without the parser under test. */
function complete(bytes: string): boolean {
  const end = bytes.indexOf("\r\n\r\n") + 4;
  if (end < 4) return false;
  const head = bytes.slice(0, end);
  if (/^transfer-encoding: chunked\r$/imu.test(head)) return bytes.endsWith("\r\n0\r\n\r\n");
  return (
    bytes.length >= end + Number(/^content-length: (?<length>\d+)\r$/imu.exec(head)?.groups?.["length"] ?? 0)
  );
}
