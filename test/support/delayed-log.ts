/**
 * A process that serves the folder of a `LargeLog` as `s0-2026h2`, each answer after a delay, as over a long line:
 * `node delayed-log.ts FOLDER MILLISECONDS`. Prints its port. It reads the places again for each checkpoint, so that
 * the log may grow.
 */
import { openSync, readFileSync, readSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { readRange, RANGES_A_LIST } from "#ledger/frame-copies";
import { readPlaces } from "./large-log.ts";

const [folder = "", delay = "0"] = process.argv.slice(2);
const file = openSync(join(folder, "objects"), "r");
let places = readPlaces(folder);

function list(from: number): string {
  const ranges = readFileSync(join(folder, "ranges"), "utf8").split("\n");
  const begin = ranges.findIndex((line) => (readRange(line)?.last ?? -1) >= from);
  return begin < 0
    ? ""
    : ranges
        .slice(begin, begin + RANGES_A_LIST)
        .map((line) => `${line}\n`)
        .join("");
}

const server = createServer((request, response) => void answer(request.url ?? "", response));

async function answer(url: string, response: ServerResponse): Promise<void> {
  await wait(Number(delay));
  const path = url.replace("/s0-2026h2/", "");
  if (path === "checkpoint") places = readPlaces(folder);
  if (path.startsWith("frames/from/")) return void response.end(list(Number(path.slice(12))));
  const place = places[path];
  if (place === undefined) return void response.writeHead(404).end();
  const bytes = Buffer.alloc(place[1]);
  readSync(file, bytes, 0, place[1], place[0]);
  response.end(bytes);
}

server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
