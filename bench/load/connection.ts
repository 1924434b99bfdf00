import { readFileSync } from "node:fs";
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/**
 * The address on which a peer listens. With `tls` (paths of PEM files): over TLS 1.3 with a client
 * certificate.
 */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/**
 * One kept-alive HTTP/1.1 connection with one request at a time: a client that costs little compared with the
 * peer.
 */
export interface Connection {
  /** Calls back with the answer, or with undefined when the connection broke. */
  ask(request: Buffer, done: (answer: Answer | undefined) => void): void;
  close(): void;
}

export async function connect(target: Target): Promise<Connection> {
  const socket = await open(target);
  socket.setNoDelay(true);
  let parts: Buffer[] = [];
  let pending: ((answer: Answer | undefined) => void) | undefined;
  const settle = (answer: Answer | undefined) => {
    const done = pending;
    parts = [];
    pending = undefined;
    done?.(answer);
  };
  socket.on("data", (chunk: Buffer) => {
    parts.push(chunk);
    const answer = whole(parts.length === 1 ? chunk : Buffer.concat(parts));
    if (answer !== undefined) settle(answer);
  });
  socket.on("error", () => settle(undefined));
  socket.on("close", () => settle(undefined));
  return {
    ask(request, done) {
      pending = done;
      if (socket.destroyed) settle(undefined);
      else socket.write(request);
    },
    close: () => socket.destroy(),
  };
}

function open({ host, port, tls }: Target): Promise<Socket> {
  return new Promise((opened, failed) => {
    const files = tls && {
      ca: readFileSync(tls.ca),
      cert: readFileSync(tls.cert),
      key: readFileSync(tls.key),
    };
    const socket: Socket = files
      ? connectTls({ host, port, servername: "localhost", minVersion: "TLSv1.3", ...files }, () =>
          opened(socket),
        )
      : connectPlain({ host, port }, () => opened(socket));
    socket.once("error", failed);
  });
}

/**
 * The answer once it is complete. An answer without a Content-Length counts as broken: no peer has a reason
 * to stream these.
 */
function whole(raw: Buffer): Answer | undefined {
  const end = raw.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const head = raw.toString("latin1", 0, end);
  const length = /\r\ncontent-length: *(\d+)/iu.exec(head)?.[1];
  if (length === undefined) return { status: 0, body: raw };
  const body = raw.subarray(end + 4);
  return body.length < Number(length) ? undefined : { status: Number(head.slice(9, 12)), body };
}
