import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { HttpMethod } from "@medplum/fhir-router";
import type { Resource } from "@medplum/fhirtypes";
import { headersOf } from "./answer-headers.ts";
import type { Answer, Body } from "./call.ts";
import { parseExact } from "./exact-json.ts";
import { Pages, type PagesOptions } from "./pages.ts";
import { badRequest, notFound, OriginRefusal, refusalOf } from "./refusal.ts";
import { OriginRouter } from "./router.ts";
import { Store } from "./store.ts";

export interface OriginOptions {
  /** 0 or none: a port of the system's choosing. */
  readonly port?: number;
  /** Hears of each request, before it is answered. */
  readonly onRequest?: (request: OriginRequest) => void;
  readonly pages?: PagesOptions;
  /** How a write to another version than the current is refused: 412 as R4 says, unless HAPI's 409 is wanted. */
  readonly staleVersion?: 412 | 409;
}

export interface OriginRequest {
  readonly method: string;
  /** As it was sent, query included. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Origin {
  /** The FHIR base, without a trailing slash. */
  readonly url: string;
  /** Stores resources that have ids. A second one of the same type and id becomes its next version. */
  load(resources: Iterable<Resource>): Promise<void>;
  close(): Promise<void>;
}

const basePath = "/fhir";
const bodyBytesMax = 33_554_432;

/** A FHIR R4 server on loopback, with everything in memory. */
export async function startOrigin({ port = 0, onRequest, pages, staleVersion = 412 }: OriginOptions = {}): Promise<Origin> {
  const server = createServer({ maxHeaderSize: 131_072, keepAliveTimeout: 60_000 });
  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen({ port, host: "127.0.0.1", backlog: 4096 }, listening);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${basePath}`; // a TCP server that listens has a port
  const store = new Store(url);
  const router = new OriginRouter({ store, pages: new Pages(url, pages), staleVersion });

  const answer = async (req: IncomingMessage): Promise<Answer> => {
    onRequest?.({ method: req.method ?? "", path: req.url ?? "", headers: req.headers });
    try {
      const [path = "", ...query] = belowBase(req.url ?? "").split("?");
      return router.carry({
        method: req.method as HttpMethod, // any other finds no route
        path,
        query: [...new URLSearchParams(query.join("?"))],
        headers: Object.fromEntries(
          Object.entries(req.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(",") : value]),
        ),
        body: bodyOf(await readBody(req), req.headers["content-type"]),
      });
    } catch (fault) {
      const { status, outcome } = refusalOf(fault);
      return { status, body: outcome };
    }
  };
  server.on("request", (req, res) => {
    answer(req).then(
      (answer) => send(res, url, answer),
      () => res.destroy(), // the client left in the middle of its body
    );
  });

  return {
    url,
    async load(resources) {
      for (const resource of resources) {
        if (resource.id === undefined) throw new Error(`a ${resource.resourceType} without an id cannot be loaded`);
        store.load({ ...resource, id: resource.id });
      }
    },
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

/** The path below the FHIR base, with its query; of the base itself only the query. */
function belowBase(url: string): string {
  if (!/^\/fhir(?:\/|(?=\?|$))/u.test(url)) throw notFound();
  return url.slice(basePath.length).replace(/^\//u, "");
}

async function readBody(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    // no encoding is set, so chunks are buffers
    length += chunk.length;
    if (length > bodyBytesMax) throw new OriginRefusal(413, "too-long", "The body is too large.");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function bodyOf(bytes: Buffer, type = "application/fhir+json"): Body {
  if (bytes.length === 0) return { kind: "none" };
  if (type.startsWith("application/x-www-form-urlencoded"))
    return { kind: "form", pairs: [...new URLSearchParams(bytes.toString("utf8"))] };
  if (!/^application\/(?:[\w.-]+\+)?json\b/u.test(type)) return { kind: "other", type, bytes };
  try {
    return { kind: "json", value: parseExact(bytes.toString("utf8")), type, bytes };
  } catch {
    throw badRequest("The body cannot be read."); // the parser's message would quote it
  }
}

function send(res: ServerResponse, base: string, answer: Answer): void {
  const { status, body, raw } = answer;
  const { "content-type": type, ...headers } = headersOf(answer, base);
  const bytes = raw?.bytes ?? (body === undefined ? undefined : Buffer.from(JSON.stringify(body)));
  res.writeHead(status, { ...headers, ...(bytes && { "content-type": type, "content-length": bytes.length }) });
  res.end(bytes);
}
