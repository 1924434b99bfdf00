import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, test } from "vitest";
import { checkAnswers } from "../../bench/requests/check.ts";
import type { Peer, PeerName } from "../../bench/peers/peer.ts";

const whole = {
  resourceType: "Patient",
  id: "p",
  telecom: [{ system: "phone", value: "1" }],
  meta: { versionId: "1" },
};
const cut = { resourceType: "Patient", id: "p", meta: { tag: [{ code: "SUBSETTED" }] } };
const payload = { name: "2k", origin: "main", paths: ["Patient/p", "Patient/q"] } as const;

const servers: Server[] = [];
async function serving(body: unknown, status = 200): Promise<number> {
  const text = JSON.stringify(body);
  const server = createServer((_req, res) =>
    res.writeHead(status, { "content-length": Buffer.byteLength(text) }).end(text),
  );
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return (server.address() as AddressInfo).port; // a listening TCP server has a port
}
const peer = async (name: PeerName, isFull: boolean, body: unknown, status = 200): Promise<Peer> => ({
  name,
  describe: name,
  isFull,
  target: { host: "127.0.0.1", port: await serving(body, status) },
  headers: async () => [[]],
  process: { cpuMicros: () => 0 }, // this test measures nothing
});

let origin: string;
beforeAll(async () => {
  origin = `http://127.0.0.1:${await serving(whole)}`;
});
afterAll(() => servers.forEach((server) => server.closeAllConnections()));

test("peers that pass on, and peers that all cut alike, are measured", async ({ expect }) => {
  const peers = [
    await peer("proxy", false, whole),
    await peer("phylax", true, cut),
    await peer("fastify-stock", true, cut),
  ];
  const lengths = await checkAnswers(peers, payload, origin);
  const each = (bytes: number) => payload.paths.map((path) => ({ path: `main/${path}`, bytes }));
  expect([...lengths.values()]).toEqual([
    each(JSON.stringify(whole).length),
    each(JSON.stringify(cut).length),
    each(JSON.stringify(cut).length),
  ]);
});

test("a page with fewer rows than the origin's is no answer to measure", async ({ expect }) => {
  const page = { ...cut, entry: [{ resource: cut }] };
  const peers = [await peer("phylax", true, page)];
  expect((await checkAnswers(peers, { ...payload, rows: 1 }, origin)).size).toBe(1);
  await expect(checkAnswers(peers, { ...payload, rows: 2 }, origin)).rejects.toThrow("1 of 2 rows");
});

test("a peer that does less work than the rest is named, and the benchmark measures nothing", async ({
  expect,
}) => {
  const good = await peer("phylax", true, cut);
  const check = async (bad: Peer) => checkAnswers([good, bad], payload, origin);
  await expect(check(await peer("fastify-stock", true, whole))).rejects.toThrow(
    "fastify-stock gives a wrong answer",
  );
  await expect(check(await peer("proxy", false, { ...whole, id: "q" }))).rejects.toThrow(
    "proxy gives a wrong answer",
  );
  await expect(check(await peer("fastify-tuned", true, cut, 403))).rejects.toThrow(
    "fastify-tuned answers 403",
  );
  await expect(checkAnswers([await peer("fastify-stock", true, whole)], payload, origin)).rejects.toThrow(
    "fastify-stock does not cut",
  );
});
