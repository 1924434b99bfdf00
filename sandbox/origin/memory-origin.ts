import type { HttpMethod } from "@medplum/fhir-router";
import type { Resource } from "@medplum/fhirtypes";
import { headersOf } from "./answer-headers.ts";
import type { Answer, Body } from "./call.ts";
import { parseExact } from "./exact-json.ts";
import { Pages, type PagesOptions } from "./search/pages.ts";
import { badRequest, notFound, serverRefusalOf } from "./refusal.ts";
import { OriginRouter } from "./router.ts";
import { Store } from "./store.ts";

export interface MemoryOriginOptions {
  /** Called for each request, before the answer. */
  readonly onRequest?: (request: OriginRequest) => void;
  readonly pages?: PagesOptions;
  /** The status for a write to a version that is not current: 412 as in R4, or HAPI's 409. */
  readonly staleVersion?: 412 | 409;
}

export interface OriginRequest {
  readonly method: string;
  /** The path as it was sent, query included. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface OriginReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined: no body, not even an empty body. */
  readonly body: Buffer | undefined;
}

/** A FHIR R4 server with everything in memory, and without a socket. */
export interface MemoryOrigin {
  /** Stores resources that have ids. A second resource with an equal type and id becomes its next version. */
  load(resources: Iterable<Resource>): void;
  /** `readBody` may throw a refusal. Rejects when it throws any other error. */
  answer(request: OriginRequest, readBody: () => Promise<Buffer>): Promise<OriginReply>;
}

export const basePath = "/fhir";

/** @param url the FHIR base, which ends in `basePath`. */
export function memoryOrigin(
  url: string,
  { onRequest, pages, staleVersion = 412 }: MemoryOriginOptions = {},
): MemoryOrigin {
  const store = new Store(url);
  const router = new OriginRouter({ store, pages: new Pages(url, pages), staleVersion });

  const carry = ({ method, headers }: OriginRequest, below: string, bytes: Buffer): Answer => {
    const [path = "", ...query] = below.split("?");
    const type = headers["content-type"];
    return router.carry({
      method: method as HttpMethod, // any unknown method finds no route
      path,
      query: [...new URLSearchParams(query.join("?"))],
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join(",") : value,
        ]),
      ),
      body: bodyOf(bytes, Array.isArray(type) ? type[0] : type),
    });
  };

  return {
    load(resources) {
      for (const resource of resources) {
        if (resource.id === undefined)
          throw new Error(`a ${resource.resourceType} without an id cannot be loaded`);
        store.load({ ...resource, id: resource.id });
      }
    },
    async answer(request, readBody) {
      onRequest?.(request);
      try {
        const below = belowBase(request.path); // before its body is read
        return replyOf(carry(request, below, await readBody()), url);
      } catch (fault) {
        const { status, outcome } = serverRefusalOf(fault);
        return replyOf({ status, body: outcome }, url);
      }
    },
  };
}

/** The path below the FHIR base, with its query; for the base itself only the query. */
function belowBase(path: string): string {
  if (!/^\/fhir(?:\/|(?=\?|$))/u.test(path)) throw notFound();
  return path.slice(basePath.length).replace(/^\//u, "");
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

function replyOf(answer: Answer, base: string): OriginReply {
  const { status, body, raw } = answer;
  const { "content-type": type = "", ...headers } = headersOf(answer, base);
  const bytes = raw?.bytes ?? (body === undefined ? undefined : Buffer.from(JSON.stringify(body)));
  return {
    status,
    headers: { ...headers, ...(bytes && { "content-type": type, "content-length": String(bytes.length) }) },
    body: bytes,
  };
}
