import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** An origin that counts what is asked of it. */
export interface PagingOrigin {
  readonly base: string;
  rowsSent(): number;
  requests(): number;
  close(): void;
}

const countDefault = 50;

/** Serves one list: `_count` rows at a time, with a `next` link as long as rows remain. */
export async function startPagingOrigin(rows: readonly unknown[], request: string): Promise<PagingOrigin> {
  let [sent, requests, base] = [0, 0, ""];
  const server = createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? "", base);
    if (pathname !== "/fhir/Observation") return res.writeHead(404).end();
    requests += 1;
    const count = Number(searchParams.get("_count") ?? countDefault);
    const offset = Number(searchParams.get("_offset") ?? 0);
    const entry = rows.slice(offset, offset + count);
    sent += entry.length;
    const next = `${base}/${request}&_count=${count}&_offset=${offset + count}`;
    const link = offset + count < rows.length ? [{ relation: "next", url: next }] : [];
    const bundle = { resourceType: "Bundle", type: "searchset", total: rows.length, link, entry };
    const body = JSON.stringify(bundle).replaceAll("{base}", base);
    return res
      .writeHead(200, { "content-type": "application/fhir+json", "content-length": Buffer.byteLength(body) })
      .end(body);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  // a TCP server that listens has a port
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/fhir`;
  return {
    base,
    rowsSent: () => sent,
    requests: () => requests,
    close: () => server.close(() => {}).closeAllConnections(),
  };
}
