import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * A FHIR server that ignores the question: it answers every search with all rows of the type, a read with
 * every version of the resource, every history with a history of all rows of the type, and every operation
 * with all rows. The gateway must not rely on the origin to narrow an answer. The server fails at the
 * version `fails`.
 */
export async function startCarelessOrigin(
  resources: readonly { readonly resourceType: string; readonly id: string }[],
) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://origin");
    const [type = "", id, , version] = url.pathname.replace("/fhir/", "").split("/");
    asked.push(decodeURIComponent(`${type}${id === undefined ? "" : `/${id}`}${url.search}`));
    const found = resources.filter((one) => one.resourceType === type && (id === undefined || one.id === id));
    const [, below] = url.pathname.split(/\/(?=_history$|\$)/u);
    if (below !== undefined) {
      response.writeHead(200, { "content-type": "application/fhir+json" });
      const all =
        below === "_history"
          ? historyOf(resources.filter((one) => one.resourceType === type))
          : searchset(resources);
      return response.end(JSON.stringify(all));
    }
    if (version === "fails" && found.length > 0) return response.writeHead(500).end();
    response.writeHead(id === undefined || found.length > 0 ? 200 : 404, {
      "content-type": "application/fhir+json",
    });
    return response.end(
      JSON.stringify(
        id === undefined ? searchset(found) : (found[0] ?? { resourceType: "OperationOutcome" }),
      ),
    );
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has a port
  return {
    url: `http://127.0.0.1:${port}/fhir`,
    asked,
    close: () => new Promise((closed) => server.close(closed).closeAllConnections()),
  };
}

const searchset = (found: readonly object[]) => ({
  resourceType: "Bundle",
  type: "searchset",
  total: found.length,
  entry: found.map((resource) => ({ resource, search: { mode: "match" } })),
});

/** One version of each resource, and one deletion. */
const historyOf = (found: readonly { readonly resourceType: string; readonly id: string }[]) => ({
  resourceType: "Bundle",
  type: "history",
  total: 2 * found.length,
  entry: found.flatMap((resource) => {
    const url = `${resource.resourceType}/${resource.id}`;
    return [
      { resource, request: { method: "PUT", url }, response: { status: "200" } },
      { request: { method: "DELETE", url: `${url}-deleted` }, response: { status: "204", etag: 'W/"1"' } },
    ];
  }),
});
