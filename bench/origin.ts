// The origin behind all peers: two fixed answers, as fast as Node sends them, so that the peers are measured
// and not the origin.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const folder = process.argv[2] ?? "";
const server = createServer({ keepAliveTimeout: 600_000 }, (req, res) => {
  const path = (req.url ?? "").split("?")[0] ?? "";
  const body = answers.get(path);
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
// Absolute addresses in the answers are the origin's own, as real servers write them.
const answer = (name: string) =>
  Buffer.from(readFileSync(`${folder}/${name}.json`, "utf8").replaceAll("{base}", base));
const patient = answer("patient");
const { id }: { id: string } = JSON.parse(patient.toString());
const answers = new Map([
  [`/fhir/Patient/${id}`, patient],
  ["/fhir/Observation", answer("searchset")],
]);
console.log(`listening ${base}`);
