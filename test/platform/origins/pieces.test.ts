import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, test } from "vitest";
import { declaredLength, FramedBody, PieceReader } from "#platform/origins/pieces";

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

/** The pieces of a body. A reader that stops closes the connection. */
async function* piecesOf(body: ReadableStream<Uint8Array> | null, declared?: number) {
  const pieces = new PieceReader(body, declared);
  try {
    for (let piece = await pieces.next(); piece !== undefined; piece = await pieces.next()) yield piece;
  } finally {
    await pieces.stop();
  }
}

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

/** A stream that can be read into views, as a fetched body can, and the number of reads that it served. */
function streamOf(bytes: Uint8Array, breaksOff = false) {
  const asked = { pulls: 0 };
  let rest = bytes;
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller) {
      asked.pulls += 1;
      const view = controller.byobRequest?.view;
      if (!view) throw new Error("not read into a view");
      if (rest.length === 0) {
        if (breaksOff) return controller.error(new Error("broken off"));
        controller.close();
        return controller.byobRequest?.respond(0);
      }
      const taken = rest.subarray(0, view.byteLength);
      new Uint8Array(view.buffer, view.byteOffset, taken.length).set(taken);
      rest = rest.subarray(taken.length);
      controller.byobRequest?.respond(taken.length);
    },
  });
  return { stream, asked };
}

const bytesOf = (length: number) => Uint8Array.from({ length }, (_, i) => i % 251);

async function read(stream: ReadableStream<Uint8Array>, declared?: number) {
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf(stream, declared)) pieces.push(piece);
  return pieces;
}

test.for([
  ["a truthful length gives a single piece", 60_000, 60_000, [60_000]],
  ["a truthful length of a MiB gives a single piece", 1_048_576, 1_048_576, [1_048_576]],
  ["a longer body comes in pieces", 40_000, 1_048_577, [16_384, 16_384, 7_232]],
  ["a body without a declared length comes in pieces", 40_000, undefined, [16_384, 16_384, 7_232]],
  ["a body longer than declared goes on in pieces", 40_000, 10, [11, 16_384, 16_384, 7_221]],
  ["a body a byte longer than declared is whole", 101, 100, [101]],
  ["a body shorter than declared ends where it ends", 5, 60_000, [5]],
  ["an empty body has no piece", 0, 0, []],
  ["an empty body that declares a length has no piece", 0, 100, []],
] as const)("%s", async ([, length, declared, lengths], { expect }) => {
  const body = bytesOf(length);
  const pieces = await read(streamOf(body).stream, declared);
  expect(pieces.map((piece) => piece.length)).toEqual(lengths);
  expect(Buffer.concat(pieces).equals(body)).toBe(true);
});

test("a truthful body is read in a single read to its end", async ({ expect }) => {
  const { stream, asked } = streamOf(bytesOf(2_000));
  await read(stream, 2_000);
  expect(asked.pulls).toBe(2); // the bytes, and the end: one read of two pulls
});

test("a body that breaks off at its declared length throws, and no piece of it is given", async ({
  expect,
}) => {
  await expect(read(streamOf(bytesOf(2_000), true).stream, 3_000)).rejects.toThrow("broken off");
  await expect(read(streamOf(bytesOf(2_000), true).stream, 2_000)).rejects.toThrow("broken off");
});

test("only a plain number is a declared length", ({ expect }) => {
  const length = (text?: string) =>
    declaredLength(new Headers(text === undefined ? {} : { "content-length": text }));
  expect(["0", "60000"].map(length)).toEqual([0, 60_000]);
  for (const text of [undefined, "", "-1", "1e9", "0x10", "1.5", "5, 5", "9999999999", "five"])
    expect(length(text), text).toBeUndefined();
});

test("a framed body is read by one call; a coded body, a long body and a body without a length are not framed", async ({
  expect,
}) => {
  const framed = (body: string, headers: Record<string, string>) =>
    FramedBody.of(new Response(body, { headers }));
  const body = framed("12345", { "content-length": "5" });
  expect(new TextDecoder().decode(await body?.next())).toBe("12345");
  expect(await body?.next()).toBeUndefined();
  expect(await framed("", { "content-length": "0" })?.next()).toBeUndefined();
  for (const headers of [
    {},
    { "content-length": "5", "content-encoding": "gzip" },
    { "content-length": "5", "transfer-encoding": "chunked" },
    { "content-length": "1048577" },
    { "content-length": "5, 5" },
  ])
    expect(framed("12345", headers)).toBeUndefined();
});

test("a framed body that its reader leaves closes the connection, and a body that breaks off throws", async ({
  expect,
}) => {
  let hungUp: () => void = () => undefined;
  const ended = new Promise<void>((done) => (hungUp = done));
  answer = (res) => {
    res.on("close", hungUp);
    res.writeHead(200, { "content-length": "100000" });
    res.write("x");
  };
  await FramedBody.of(await fetch(address))?.stop();
  await ended;
  answer = (res) => {
    res.writeHead(200, { "content-length": "100000" });
    res.write("x", () => res.destroy());
  };
  await expect(FramedBody.of(await fetch(address))?.next()).rejects.toThrow();
});
