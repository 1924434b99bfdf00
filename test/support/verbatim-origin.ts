import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A resource, and its text with the author's own spelling. */
export interface Verbatim {
  readonly type: string;
  readonly id: string;
  readonly text: string;
}

/**
 * A FHIR server that answers with the very bytes it was given: a read with the text, a search with all texts
 * of the type.
 */
export async function startVerbatimOrigin(resources: readonly Verbatim[]) {
  const server = createServer((request, response) => {
    const [type, id] = new URL(request.url ?? "/", "http://origin").pathname.replace("/fhir/", "").split("/");
    const found = resources
      .filter((one) => one.type === type && (id === undefined || one.id === id))
      .map(({ text }) => text);
    const entry = found.map((text) => `{"resource":${text},"search":{"mode":"match"}}`);
    const body =
      id === undefined ? `{"resourceType":"Bundle","type":"searchset","entry":[${entry.join()}]}` : found[0];
    response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/fhir+json" });
    response.end(body);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has a port
  return {
    url: `http://127.0.0.1:${port}/fhir`,
    close: () => new Promise((closed) => server.close(closed).closeAllConnections()),
  };
}
