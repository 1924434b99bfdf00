import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface Held {
  readonly resourceType: string;
  readonly id: string;
  readonly [element: string]: unknown;
}

export interface IgnoringOrigin {
  readonly url: string;
  /** The questions in order, decoded: `GET Patient/1?…`. A posted form stands in the place of the query. */
  readonly asked: string[];
  /** The bodies that it got by PUT and POST, and the paths of its deletions. */
  readonly written: unknown[];
  close(): Promise<unknown>;
}

/**
 * A FHIR server that ignores every question: it answers a search, a history, `$everything` and `$lastn` with
 * all rows of all types, a read with any row of that id, and a write with success and another patient's
 * record. Its validators are the same for all rows. Its headers name the server and a person.
 */
export async function startIgnoringOrigin(
  worldOf: (base: string) => readonly Held[],
): Promise<IgnoringOrigin> {
  const [asked, written]: [string[], unknown[]] = [[], []];
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  // a listening TCP server has a port
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/fhir`;
  const world = worldOf(base).map((held) => ofVersion(held, "1"));

  const answer = async (
    request: IncomingMessage,
  ): Promise<{ readonly status: number; readonly body: object }> => {
    const url = new URL(request.url ?? "/", base);
    const path = url.pathname.replace(/^\/fhir\/?/u, "");
    const sent = await bodyOf(request);
    const isForm = path.endsWith("_search");
    asked.push(decodeURIComponent(`${request.method} ${path}${isForm ? `?${sent}` : url.search}`));
    const [type = "", id = "_", below, version] = path.split("/");
    if (request.method !== "GET" && !isForm) {
      written.push(sent === "" ? path : JSON.parse(sent));
      const another = world.findLast((one) => one.resourceType === type) ?? {
        resourceType: type,
        id: "canary",
      };
      return { status: request.method === "POST" ? 201 : 200, body: another };
    }
    if (/^[_$]/u.test(id) || (below !== undefined && version === undefined))
      return { status: 200, body: listOf(path, world, type, base) };
    const held = world.find((one) => one.resourceType === type && one.id === id);
    return held === undefined
      ? { status: 404, body: outcome("error", base) }
      : { status: 200, body: ofVersion(held, version ?? "1") };
  };
  server.on("request", (request, response) => {
    const reply = async () => {
      const { status, body } = await answer(request);
      response.writeHead(status, {
        "content-type": "application/fhir+json",
        etag: 'W/"1"',
        age: "canary",
        "last-modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        location: `${base}/Patient/canary/_history/1`,
        "content-location": `${base}/Patient/canary`,
        link: `<${base}/Patient/canary>; rel="canary"`,
        "x-served-by": `canary ${base}`,
      });
      response.end(JSON.stringify(body));
    };
    reply().catch(() => response.destroy()); // the gateway hung up in the middle
  });
  return {
    url: base,
    asked,
    written,
    close: () => new Promise((closed) => server.close(closed).closeAllConnections()),
  };
}

const ofVersion = (held: Held, versionId: string): Held => ({
  ...held,
  meta: { ...(held["meta"] as object | undefined), versionId },
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request as AsyncIterable<Buffer>) body += chunk.toString();
  return body;
}

const outcome = (severity: "error" | "information", base: string) => ({
  resourceType: "OperationOutcome",
  issue: [{ severity, code: "informational", diagnostics: `canary ${base}` }],
});

function listOf(path: string, world: readonly Held[], type: string, base: string) {
  const fullUrl = ({ resourceType, id }: Held) => `${base}/${resourceType}/${id}`;
  const link = [{ relation: "self", url: `${base}/${path}?canary` }];
  if (path.endsWith("_history")) {
    const entry = world.map((resource) => ({
      fullUrl: fullUrl(resource),
      resource,
      request: { method: "PUT", url: `${resource.resourceType}/${resource.id}` },
      response: { status: "200", etag: 'W/"1"' },
    }));
    return { resourceType: "Bundle", type: "history", link, entry };
  }
  const entry = world.map((resource) => ({
    fullUrl: fullUrl(resource),
    resource,
    search: { mode: resource.resourceType === type || path.includes("$everything") ? "match" : "include" },
  }));
  const said = { resource: outcome("information", base), search: { mode: "outcome" } };
  return { resourceType: "Bundle", type: "searchset", link, entry: [...entry, said] };
}
