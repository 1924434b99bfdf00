import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Resource } from "@medplum/fhirtypes";
import { basePath, memoryOrigin, type MemoryOriginOptions, type OriginReply } from "./memory-origin.ts";
import { ServerRefusal } from "./refusal.ts";

export interface OriginOptions extends MemoryOriginOptions {
  /** 0 or undefined: a port that the system chooses. */
  readonly port?: number;
}

export interface Origin {
  /** The FHIR base, without a trailing slash. */
  readonly url: string;
  /** Stores resources that have ids. A second resource with an equal type and id becomes its next version. */
  load(resources: Iterable<Resource>): Promise<void>;
  close(): Promise<void>;
}

const bodyBytesMax = 33_554_432;

/** A FHIR R4 server on loopback, with everything in memory. */
export async function startOrigin({ port = 0, ...options }: OriginOptions = {}): Promise<Origin> {
  const server = createServer({ maxHeaderSize: 131_072, keepAliveTimeout: 60_000 });
  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen({ port, host: "127.0.0.1", backlog: 4096 }, listening);
  });
  // a TCP server that listens has a port
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${basePath}`;
  const origin = memoryOrigin(url, options);
  server.on("request", (req, res) => {
    const request = { method: req.method ?? "", path: req.url ?? "", headers: req.headers };
    origin
      .answer(request, () => readBody(req))
      .then(
        (reply) => send(res, reply),
        () => res.destroy(), // the client left in the middle of its body
      );
  });

  return {
    url,
    load: async (resources) => origin.load(resources),
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    // no encoding is set, so chunks are buffers
    length += chunk.length;
    if (length > bodyBytesMax) throw new ServerRefusal(413, "too-long", "The body is too large.");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function send(res: ServerResponse, { status, headers, body }: OriginReply): void {
  res.writeHead(status, headers);
  res.end(body);
}
