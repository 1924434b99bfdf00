import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, test } from "vitest";
import { piecesOf } from "#platform/origins/pieces";

let answer: (res: ServerResponse) => void;
const server = createServer((_, res) => answer(res));
let address = "";
beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // a listening TCP server has one
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** The lengths of the pieces of a body that is sent in chunks of this length. */
async function lengthsOf(body: string, chunkLength: number): Promise<readonly number[]> {
  answer = (res) => {
    const send = (at: number) => {
      if (at >= body.length) res.end();
      else res.write(body.slice(at, at + chunkLength), () => setImmediate(send, at + chunkLength));
    };
    send(0);
  };
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf((await fetch(address)).body)) pieces.push(piece);
  if (Buffer.concat(pieces).toString() !== body) throw new Error("another body than was sent");
  return pieces.map(({ length }) => length);
}

test("a body comes in full pieces, for chunks of any size, and an empty body has none", async ({
  expect,
}) => {
  const long = Array.from({ length: 4_000 }, (_, i) => String(i).padStart(10, "-")).join("");
  expect(await lengthsOf(long, 37)).toEqual([16_384, 16_384, 7_232]);
  expect(await lengthsOf(long.slice(0, 16_384), 5_000)).toEqual([16_384]);
  expect(await lengthsOf("{}", 1)).toEqual([2]);
  expect(await lengthsOf("", 1)).toEqual([]);
});

test("a reader that stops closes the connection", async ({ expect }) => {
  let hungUp: () => void = () => undefined;
  const ended = new Promise<void>((done) => (hungUp = done));
  answer = (res) => {
    res.on("close", hungUp);
    res.write("x".repeat(100_000)); // and never ends
  };
  let pieces = 0;
  for await (const _ of piecesOf((await fetch(address)).body)) {
    pieces += 1;
    break;
  }
  await ended;
  expect(pieces).toBe(1);
});
