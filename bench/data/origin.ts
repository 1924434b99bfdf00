// The origin behind all peers: fixed answers, as fast as Node sends them, so that the peers are measured and
// not the origin. Its argument names a file of [path, body] pairs.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

let answers: ReadonlyMap<string, Buffer> = new Map();
const server = createServer({ keepAliveTimeout: 600_000 }, (req, res) => {
  const body = answers.get(nameOf(req.url ?? ""));
  res.writeHead(body === undefined ? 404 : 200, {
    "content-type": "application/fhir+json; charset=utf-8",
    "content-length": body?.length ?? 0,
  });
  res.end(body);
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
await new Promise((listening) => server.once("listening", listening));

// a TCP server that listens has a port
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/fhir`;
const pairs: readonly (readonly [string, string])[] = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8"));
// Absolute addresses in the answers are the origin's own, as real servers write them.
answers = new Map(
  pairs.map(([path, body]) => [nameOf(`/fhir/${path}`), Buffer.from(body.replaceAll("{base}", base))]),
);
console.log(`listening ${base}`);

/** A page is found by its patient or name alone: a gateway may add parameters. */
function nameOf(url: string): string {
  const at = url.indexOf("?");
  if (at === -1) return url;
  const parameters = new URLSearchParams(url.slice(at + 1));
  return `${url.slice(0, at)} ${parameters.get("patient") ?? parameters.get("family") ?? ""}`;
}
