import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { badRequest, getStatus, notFound } from "@medplum/core";
import type { FhirRequest, HttpMethod } from "@medplum/fhir-router";
import type { OperationOutcome, Resource } from "@medplum/fhirtypes";
import { capabilityStatement } from "./capability.ts";
import { parseExact } from "./exact-json.ts";
import { Pages, type PagesOptions } from "./pages.ts";
import { SandboxRepository } from "./repository.ts";
import { OriginRouter } from "./router.ts";

export interface OriginOptions {
  /** 0 or none: a port of the system's choosing. */
  readonly port?: number;
  /** Hears of each request, before it is answered. */
  readonly onRequest?: (request: OriginRequest) => void;
  readonly pages?: PagesOptions;
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

/** A FHIR R4 server on loopback over an in-memory repository. */
export async function startOrigin({ port = 0, onRequest, pages }: OriginOptions = {}): Promise<Origin> {
  const server = createServer({ maxHeaderSize: 131_072, keepAliveTimeout: 60_000 });
  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen({ port, host: "127.0.0.1", backlog: 4096 }, listening);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${basePath}`; // a TCP server that listens has a port
  const repository = new SandboxRepository(url);
  const router = new OriginRouter(repository, url, new Pages(url, pages));
  const capabilities = capabilityStatement(url, new Date().toISOString());

  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    onRequest?.({ method: req.method ?? "", path: req.url ?? "", headers: req.headers });
    const path = belowBase(req.url ?? "");
    if (path === undefined) return send(res, url, req.method, notFound);
    if (req.method === "GET" && path.split("?")[0] === "metadata") return send(res, url, req.method, undefined, capabilities);
    const body = await readBody(req);
    if (body === undefined) return send(res, url, req.method, badRequest("The body is too large."));
    const parsed = parseBody(body, req.headers["content-type"]);
    if (parsed === "malformed") return send(res, url, req.method, badRequest("The body cannot be read."));
    const request: FhirRequest = {
      method: req.method as HttpMethod, // any other finds no route
      url: path,
      pathname: "",
      body: parsed,
      params: {},
      query: {},
      headers: req.headers,
    };
    const [outcome, resource] = await router.handleRequest(request, repository);
    return send(res, url, req.method, outcome, resource);
  };
  server.on("request", (req, res) => {
    answer(req, res).catch(() => res.destroy()); // the client left in the middle of its body
  });

  return {
    url,
    async load(resources) {
      for (const resource of resources) {
        if (resource.id === undefined) throw new Error(`a ${resource.resourceType} without an id cannot be loaded`);
        await repository.load({ ...resource, id: resource.id });
      }
    },
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

/** The path below the FHIR base, with its query; of the base itself only the query. Undefined: elsewhere. */
const belowBase = (url: string): string | undefined =>
  /^\/fhir(?:\/|(?=\?|$))/u.test(url) ? url.slice(basePath.length).replace(/^\//u, "") : undefined;

/** Undefined: larger than the limit. */
async function readBody(req: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    // no encoding is set, so chunks are buffers
    length += chunk.length;
    if (length > bodyBytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseBody(body: string, type = ""): unknown {
  if (body === "") return undefined;
  if (type.startsWith("application/x-www-form-urlencoded")) {
    const form = new URLSearchParams(body);
    return Object.fromEntries([...new Set(form.keys())].map((name) => [name, form.getAll(name)]));
  }
  try {
    return parseExact(body);
  } catch {
    return "malformed";
  }
}

/** The answer with the headers that real servers give: validators, and their own absolute URLs. */
function send(
  res: ServerResponse,
  base: string,
  method: string | undefined,
  outcome: OperationOutcome | undefined,
  resource?: Resource,
): void {
  res.setHeader("Content-Type", "application/fhir+json; charset=utf-8");
  res.statusCode = outcome === undefined ? 200 : getStatus(outcome);
  const { versionId, lastUpdated } = resource?.meta ?? {};
  if (resource?.id !== undefined && versionId !== undefined && lastUpdated !== undefined) {
    if (method === "PUT" && versionId === "1") res.statusCode = 201; // update as create, which medplum answers with 200
    res.setHeader("ETag", `W/"${versionId}"`);
    res.setHeader("Last-Modified", new Date(lastUpdated).toUTCString());
    const here = `${base}/${resource.resourceType}/${resource.id}/_history/${versionId}`;
    res.setHeader(res.statusCode === 201 ? "Location" : "Content-Location", here);
  }
  res.end(JSON.stringify(resource ?? outcome));
}
