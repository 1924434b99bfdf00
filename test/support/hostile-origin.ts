import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { hostileResources } from "./hostile-resources.ts";
import { ownAddresses } from "./own-addresses.ts";

export interface HostileOptions {
  /** The name under which it is registered. */
  readonly host?: "127.0.0.1" | "localhost" | "[::1]";
  /** Changes the spelling of its JSON, byte by byte, without a change of the meaning. */
  readonly spell?: (json: string) => string;
}

/**
 * A FHIR server that names its own address wherever it can: its absolute URL stands in every text of every
 * body, in headers, status lines, trailers and errors. It has `Patient`, `Observation` and
 * `DocumentReference` with the ids of {@link HostileOrigin.ids}. A search answers with all rows of a type
 * and more. An id `status-404` is answered with that status, `redirect-302` with a redirect; `html`,
 * `broken`, `cut` and `outcome` name the body of the answer.
 */
export interface HostileOrigin {
  readonly url: string;
  /** One id for each spelling of its address. */
  readonly ids: readonly string[];
  /** The `next` link of its searches; `undefined`: there is no further page. Further pages are empty. */
  next: string | undefined;
  readonly requests: { readonly method: string; readonly path: string; readonly body: string }[];
  close(): Promise<void>;
}

export async function startHostileOrigin({
  host = "127.0.0.1",
  spell = (json) => json,
}: HostileOptions = {}): Promise<HostileOrigin> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, host.replaceAll(/[[\]]/gu, ""), listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has a port
  const url = `http://${host}:${port}/fhir`;
  const addresses = ownAddresses(url);
  const resources = addresses.flatMap((address, index) => hostileResources(`spelled-${index}`, address));
  const requests: { method: string; path: string; body: string }[] = [];

  server.on("request", (req, res) => {
    answer(req, res).catch(() => res.destroy()); // the gateway hung up in the middle
  });
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    let body = "";
    for await (const chunk of req as AsyncIterable<Buffer>) body += chunk.toString();
    requests.push({ method: req.method ?? "", path: req.url ?? "", body });
    res.writeEarlyHints({ link: `<${url}/metadata>; rel=preload`, "x-served-by": url });
    for (const [name, value] of Object.entries(hostileHeaders(url, addresses))) res.setHeader(name, value);
    res.statusMessage = `see ${url}`;
    const [type = "", id] = (req.url ?? "").replace(/^\/fhir\//u, "").split(/[/?]/u);
    reply(req, res, type, id === "_search" || (req.url ?? "").includes("?") ? undefined : id);
  };
  const json = (res: ServerResponse, status: number, value: unknown) => {
    res.statusCode = status;
    res.setHeader("Trailer", "X-Served-By");
    if (status !== 204) res.write(" ");
    res.addTrailers({ "X-Served-By": url });
    res.end(status === 204 ? undefined : spell(JSON.stringify(value)));
  };
  const reply = (req: IncomingMessage, res: ServerResponse, type: string, id: string | undefined) => {
    const [, kind = "", status = "200"] = /^(?<kind>[a-z]+)-(?<status>\d{3})$/u.exec(id ?? "") ?? [];
    if (kind === "redirect") res.setHeader("Location", `${url}/${type}/spelled-0`);
    if (kind === "redirect" || kind === "status") return json(res, Number(status), outcome(addresses));
    const found = resources.find((resource) => resource["resourceType"] === type && resource["id"] === id);
    switch (id) {
      case undefined:
        return json(
          res,
          200,
          searchset(
            url,
            type,
            resources,
            addresses,
            req.url?.includes("_getpages") === true ? undefined : origin.next,
          ),
        );
      case "html":
        res.setHeader("Content-Type", "text/html");
        return res.end(`<html><a href="${url}">${addresses.join(" ")}</a></html>`);
      case "broken":
        return res.end(`{"resourceType":"Patient","id":"broken","name":[{"text":"${url}"`);
      case "cut":
        res.write(`{"resourceType":"Patient","id":"cut","name":[{"text":"${url}"`);
        return setTimeout(() => res.destroy(), 50);
      case "outcome":
        return json(res, 200, outcome(addresses));
      default:
        return found === undefined ? json(res, 404, outcome(addresses)) : json(res, 200, found);
    }
  };

  const origin: HostileOrigin = {
    url,
    next: undefined,
    ids: addresses.map((_, index) => `spelled-${index}`),
    requests,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
  return origin;
}

const hostileHeaders = (url: string, addresses: readonly string[]): Record<string, string | string[]> => ({
  "Content-Type": `application/fhir+json; charset=utf-8; profile="${url}"`,
  "Content-Location": `${url}/Patient/spelled-0/_history/1`,
  Link: [`<${url}?_getpages=1>; rel="next"`, `<${url}/metadata>; rel="describedby"`],
  ETag: `W/"${url}"`,
  Server: `hostile ${url}`,
  Via: `1.1 ${new URL(url).host}`,
  Warning: `199 ${new URL(url).host} "${url}"`,
  "Set-Cookie": [`session=1; Domain=${new URL(url).host}; Path=/fhir`, `at=${encodeURIComponent(url)}`],
  "WWW-Authenticate": `Bearer realm="${url}"`,
  "Content-Disposition": `attachment; filename="${new URL(url).host}.json"`,
  "Access-Control-Allow-Origin": url,
  "Last-Modified": url,
  "Retry-After": url,
  "X-Request-Id": url,
  "X-Powered-By": addresses.filter((address) => /^[\u0020-\u007e]*$/u.test(address)).join(" "),
});

const outcome = (addresses: readonly string[], severity = "error") => ({
  resourceType: "OperationOutcome",
  id: "outcome",
  text: {
    status: "generated",
    div: `<div xmlns="http://www.w3.org/1999/xhtml">${addresses.join(" ")}</div>`,
  },
  issue: addresses.map((address) => ({
    severity,
    code: "processing",
    diagnostics: `cannot read ${address}`,
    details: { text: address, coding: [{ system: address, code: "x" }] },
    expression: [address],
  })),
});

/** All rows of the type and a row of another type, with links to the server. */
function searchset(
  url: string,
  type: string,
  resources: readonly Record<string, unknown>[],
  addresses: readonly string[],
  next?: string,
) {
  const entry = resources
    .filter(({ resourceType }) => resourceType === type)
    .map((resource, index) => ({
      fullUrl: `${addresses[index] ?? url}/${type}/${String(resource["id"])}`,
      link: [{ relation: "self", url }],
      resource,
      search: { mode: "match", extension: [{ url, valueUrl: url }] },
      request: { method: "GET", url },
      response: {
        status: "200",
        location: url,
        etag: url,
        outcome: outcome(addresses.slice(index, index + 1)),
      },
    }));
  return {
    resourceType: "Bundle",
    id: "b",
    meta: { source: url, tag: [{ system: url }] },
    identifier: { system: url, value: url },
    type: "searchset",
    total: entry.length,
    link: [
      { relation: "self", url: `${url}/${type}` },
      { relation: "first", url },
      ...(next === undefined ? [] : [{ relation: "next", url: next }]),
    ],
    entry: [
      ...entry,
      {
        fullUrl: `${url}/OperationOutcome/1`,
        resource: outcome(addresses, "warning"),
        search: { mode: "outcome" },
      },
    ],
  };
}
