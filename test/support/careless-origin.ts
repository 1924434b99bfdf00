import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * A FHIR server that answers every search with all it has of the type, whatever was asked, and every version of a resource with the
 * resource: what a narrowed question must not rely on. It fails at the version `fails` of what it has.
 */
export async function startCarelessOrigin(resources: readonly { readonly resourceType: string; readonly id: string }[]) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://origin");
    const [type = "", id, , version] = url.pathname.replace("/fhir/", "").split("/");
    asked.push(decodeURIComponent(`${type}${id === undefined ? "" : `/${id}`}${url.search}`));
    const found = resources.filter((one) => one.resourceType === type && (id === undefined || one.id === id));
    if (version === "fails" && found.length > 0) return response.writeHead(500).end();
    response.writeHead(id === undefined || found.length > 0 ? 200 : 404, { "content-type": "application/fhir+json" });
    return response.end(JSON.stringify(id === undefined ? searchset(found) : (found[0] ?? { resourceType: "OperationOutcome" })));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has one
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
