import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, test } from "vitest";
import { checkAnswers } from "../../bench/check.ts";
import type { Peer } from "../../bench/peers/peer.ts";
import type { Payload } from "../../bench/payloads.ts";

const whole = {
  resourceType: "Patient",
  id: "p",
  telecom: [{ system: "phone", value: "1" }],
  meta: { versionId: "1" },
};
const cut = { resourceType: "Patient", id: "p", meta: { tag: [{ code: "SUBSETTED" }] } };
const payload: Payload = { name: "read", path: "Patient/p", originBytes: JSON.stringify(whole).length };

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
const peer = async (name: string, isFull: boolean, body: unknown, status = 200): Promise<Peer> => ({
  name,
  describe: name,
  isFull,
  target: { host: "127.0.0.1", port: await serving(body, status) },
  headers: async () => [],
  // this test measures nothing
  process: { child: process as never, ready: {}, cpuMicros: () => 0, close: async () => {} },
});

let origin: string;
beforeAll(async () => {
  origin = `http://127.0.0.1:${await serving(whole)}`;
});
afterAll(() => servers.forEach((server) => server.closeAllConnections()));

test("peers that pass on, and peers that all cut alike, are measured", async ({ expect }) => {
  const peers = [
    await peer("bare", false, whole),
    await peer("one", true, cut),
    await peer("other", true, cut),
  ];
  const lengths = await checkAnswers(peers, payload, origin);
  expect([...lengths.values()]).toEqual([
    JSON.stringify(whole).length,
    JSON.stringify(cut).length,
    JSON.stringify(cut).length,
  ]);
});

test("a peer that does less work than the rest is named, and the benchmark measures nothing", async ({
  expect,
}) => {
  const good = await peer("good", true, cut);
  const check = async (bad: Peer) => checkAnswers([good, bad], payload, origin);
  await expect(check(await peer("lazy", true, whole))).rejects.toThrow("lazy gives a wrong answer");
  await expect(check(await peer("changed", false, { ...whole, id: "q" }))).rejects.toThrow(
    "changed gives a wrong answer",
  );
  await expect(check(await peer("refusing", true, cut, 403))).rejects.toThrow("refusing answers 403");
  await expect(checkAnswers([await peer("uncut", true, whole)], payload, origin)).rejects.toThrow(
    "uncut does not cut",
  );
});
