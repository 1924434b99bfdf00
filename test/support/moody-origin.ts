import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface Stored {
  readonly resourceType: string;
  readonly id: string;
  readonly [name: string]: unknown;
}

/**
 * Its reply to a write: a status, no answer, a closed connection, an answer once the test
 * calls `release`, or the body that it reports afterwards.
 */
export type Mood =
  | number
  | "silent"
  | "hangs up"
  | "waits for release"
  | { readonly says: object | string; readonly location?: string };

/** A FHIR server that answers every search with all rows, and each write by its mood. */
export async function startMoodyOrigin(resources: readonly Stored[]) {
  const written: {
    readonly method: string;
    readonly path: string;
    readonly ifMatch: string | undefined;
    readonly body: string;
  }[] = [];
  const moods = new Map<string, Mood>();
  const waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://origin");
    const [type = "", id] = url.pathname.replace("/fhir/", "").split("/");
    if (request.method === "GET" || id === "_search")
      return answer(response, type, id === "_search" ? undefined : id);
    return void take(request, response, `${type}${id === undefined ? "" : `/${id}`}`);
  });

  const answer = (response: ServerResponse, type: string, id: string | undefined) => {
    const found = resources.filter((one) => one.resourceType === type && (id === undefined || one.id === id));
    response.writeHead(id === undefined || found.length > 0 ? 200 : 404, {
      "content-type": "application/fhir+json",
    });
    const searchset = {
      resourceType: "Bundle",
      type: "searchset",
      entry: found.map((resource) => ({ resource, search: { mode: "match" } })),
    };
    return response.end(
      JSON.stringify(id === undefined ? searchset : (found[0] ?? { resourceType: "OperationOutcome" })),
    );
  };
  const take = async (request: IncomingMessage, response: ServerResponse, path: string) => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    written.push({ method: request.method ?? "", path, ifMatch: request.headers["if-match"], body });
    const mood = moods.get(path) ?? (request.method === "POST" ? 201 : 200);
    if (mood === "silent") return;
    if (mood === "hangs up") {
      request.socket.destroy();
      return;
    }
    if (mood === "waits for release") await new Promise<void>((released) => void waiting.push(released));
    const says =
      typeof mood === "object"
        ? mood
        : { says: { resourceType: "OperationOutcome", text: "canary of the origin's words" } };
    const location = "location" in says ? says.location : undefined;
    response.writeHead(typeof mood === "number" ? mood : request.method === "POST" ? 201 : 200, {
      "content-type": "application/fhir+json",
      etag: 'W/"origin-tag"',
      ...(location === undefined ? {} : { location }),
    });
    response.end(typeof says.says === "string" ? says.says : JSON.stringify(says.says));
  };
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has a port
  return {
    url: `http://127.0.0.1:${port}/fhir`,
    written,
    moods,
    /** Lets the origin answer the writes that wait. */
    release() {
      for (const released of waiting.splice(0)) released();
    },
    close: () => new Promise((closed) => server.close(closed).closeAllConnections()),
  };
}
