import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Row {
  readonly resourceType: string;
  readonly id: string;
  readonly [element: string]: unknown;
}

/**
 * A small FHIR server. The test decides its rows and pages. It searches by `patient` and by no further
 * parameter.
 */
export interface PagingOrigin {
  readonly url: string;
  /**
   * Rows in the order of the answers. A resource that is listed twice has two versions, the current version
   * last.
   */
  rows: readonly Row[];
  /** The most entries of a page, whatever `_count` asks for. */
  pageMax: number;
  /** The connection breaks after this number of bytes of an answer's body. */
  breaksAt: number;
  /** False: an answer has no link, and states its own length as the total. */
  hasLinks: boolean;
  /** Changes the URL of a `next` link. */
  misleads: (link: string) => string;
  /** `GET /fhir/Patient?…`, with a posted form behind it. */
  readonly requests: string[];
  close(): Promise<void>;
}

export async function startPagingOrigin(): Promise<PagingOrigin> {
  const origin = {
    rows: [] as readonly Row[],
    pageMax: 1_000,
    breaksAt: Infinity,
    hasLinks: true,
    misleads: (link: string) => link,
    requests: [] as string[],
  };
  const serve = async (req: IncomingMessage, res: ServerResponse) => {
    const form = await textOf(req);
    const url = new URL(req.url ?? "", `http://${req.headers.host}`);
    origin.requests.push(`${req.method} ${req.url}${form === "" ? "" : ` ${form}`}`);
    const body = answer(origin, `http://${req.headers.host}/fhir`, url, form);
    const text = Buffer.from(JSON.stringify(body ?? {}));
    res.writeHead(body === undefined ? 404 : 200, {
      "content-type": "application/fhir+json",
      "content-length": text.length,
    });
    if (text.length <= origin.breaksAt) res.end(text);
    // after they were sent
    else res.write(text.subarray(0, origin.breaksAt), () => setTimeout(() => res.destroy(), 20));
  };
  const server = createServer((req, res) => void serve(req, res));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has a port
  return Object.assign(origin, {
    url: `http://127.0.0.1:${port}/fhir`,
    close: () =>
      new Promise<void>((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  });
}

async function textOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  // a request without an encoding is bytes
  for await (const chunk of req) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString();
}

function answer(
  { rows, pageMax, hasLinks, misleads }: Pick<PagingOrigin, "rows" | "pageMax" | "hasLinks" | "misleads">,
  base: string,
  url: URL,
  form: string,
) {
  const [type, id, history, version] = url.pathname.slice("/fhir/".length).split("/");
  const versions = rows.filter((row) => row.resourceType === type && row.id === id);
  if (history === "_history") return versions[Number(version) - 1];
  if (id !== undefined && id !== "_search") return versions.at(-1);
  const asked = new URLSearchParams(`${url.search.slice(1)}&${form}`);
  const patient = asked.get("patient");
  const found = rows.filter(
    (row) =>
      row.resourceType === type && (patient === null || JSON.stringify(row).includes(`Patient/${patient}"`)),
  );
  const [from, count] = [
    Number(asked.get("from") ?? 0),
    Math.min(pageMax, Number(asked.get("_count") ?? pageMax)),
  ];
  asked.set("from", String(from + count));
  const next = { relation: "next", url: misleads(`${base}/${type}?${asked.toString()}`) };
  return {
    resourceType: "Bundle",
    type: "searchset",
    total: hasLinks ? found.length : Math.min(count, found.length),
    ...(hasLinks && {
      link: [{ relation: "self", url: url.href }, ...(from + count < found.length ? [next] : [])],
    }),
    entry: found
      .slice(from, from + count)
      .map((resource) => ({ fullUrl: `${base}/${type}/${resource.id}`, resource })),
  };
}
