import { closeSync, createReadStream, createWriteStream, existsSync, fsyncSync, openSync } from "node:fs";
import { renameSync, rmSync, statSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import * as z from "zod";
import type { OpenedReply } from "../connection/mutual-tls.ts";
import { readJsonFile } from "../json-file.ts";
import { writePrivateFile } from "../private-file.ts";
import { Passing, waitSecondsOf, type ExportSession } from "./export-session.ts";
import { RowCounter } from "./row-counter.ts";

/** A file of a manifest, and its place on the disk. */
export interface ExportFile {
  readonly url: string;
  readonly type: string;
  readonly path: string;
}

/** What is known of the bytes in `PATH.part`. */
const partForm = z.object({ url: z.string(), etag: z.string(), isGzip: z.boolean() });

const partOf = ({ path }: ExportFile): string => `${path}.part`;
const aboutOf = ({ path }: ExportFile): string => `${path}.part.json`;
const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** The bytes of a file that are on the disk: those that came, in the encoding of the transfer. */
export const bytesOnDisk = (target: ExportFile): number => sizeOf(partOf(target)) + sizeOf(target.path);

/**
 * Downloads a file, and goes on with bytes that an earlier call left. The file gets its name when all of its bytes are
 * there and each line is a resource of its type. Throws a `Passing` if a repeat may go on.
 *
 * @returns the number of its rows
 */
export async function downloadFile(target: ExportFile, session: ExportSession): Promise<number> {
  if (existsSync(target.path)) {
    dropPart(target); // a call may have ended after it gave the name
    return rowsOf(target, target.path);
  }
  const isWhole = await fetchRest(target, session);
  if (!isWhole) throw new Passing("the server has a different cut of the file now", 0);
  return finish(target);
}

/** Fetches the bytes that are missing. False: the bytes on the disk are of no use, and are deleted. */
async function fetchRest(target: ExportFile, session: ExportSession): Promise<boolean> {
  const about = aboutPart(target);
  const from = about === undefined ? 0 : sizeOf(partOf(target));
  const reply = await session.open(target.url, {
    headers: {
      accept: "application/fhir+ndjson",
      "accept-encoding": "gzip",
      // With a tag the server sends the rest of this cut, or the whole file anew (RFC 9110 §13.1.5).
      ...(from > 0 && about !== undefined && { range: `bytes=${from}-`, "if-range": about.etag }),
    },
  });
  const { status, headers, body } = reply;
  const range = headers["content-range"]?.trim() ?? "";
  const isRest = status === 206 && range.startsWith(`bytes ${from}-`);
  if (!isRest && status !== 200) {
    body.resume();
    if (status === 416 && from > 0 && range === `bytes */${from}`) return true; // every byte came before
    if (status === 416 || status === 206) return dropPart(target);
    throw faultOf(reply);
  }
  if (status === 200) {
    dropPart(target); // first: bytes of an earlier cut must never stand under the tag of this cut
    const about = {
      url: target.url,
      etag: headers.etag ?? "",
      isGzip: headers["content-encoding"] === "gzip",
    } satisfies z.infer<typeof partForm>;
    writePrivateFile(aboutOf(target), JSON.stringify(about));
  }
  // A transfer that breaks rejects, and leaves the bytes that came.
  await pipeline(body, createWriteStream(partOf(target), { flags: isRest ? "a" : "w", mode: 0o600 }));
  return true;
}

function faultOf(reply: OpenedReply): Error {
  const { status } = reply;
  const words = `the server answers ${status} for a file`;
  if (status === 429 || status >= 500) return new Passing(words, waitSecondsOf(reply));
  return new Error(
    status === 404 || status === 410 ? `${words}: its time is over, or it was cancelled` : words,
  );
}

/** Bytes of an earlier call count if their tag is strong: a weak tag says nothing of bytes. */
function aboutPart(target: ExportFile): z.infer<typeof partForm> | undefined {
  const read = readJsonFile(aboutOf(target));
  const about = partForm.safeParse(read.ok ? read.value : undefined);
  return about.success && about.data.url === target.url && about.data.etag.startsWith('"')
    ? about.data
    : undefined;
}

function dropPart(target: ExportFile): false {
  for (const path of [partOf(target), aboutOf(target)]) rmSync(path, { force: true });
  return false;
}

/** Decodes the bytes, reads each line, and gives the file its name. */
async function finish(target: ExportFile): Promise<number> {
  const [part, decoded] = [partOf(target), `${target.path}.decoded`];
  const read = readJsonFile(aboutOf(target));
  const { isGzip } = partForm.parse(read.ok ? read.value : undefined);
  let rows: number;
  try {
    if (isGzip)
      await pipeline(
        createReadStream(part),
        createGunzip(),
        createWriteStream(decoded, { flags: "w", mode: 0o600 }),
      );
    rows = await rowsOf(target, isGzip ? decoded : part);
  } catch (fault) {
    rmSync(decoded, { force: true });
    dropPart(target);
    throw fault;
  }
  synchronize(isGzip ? decoded : part);
  renameSync(isGzip ? decoded : part, target.path);
  dropPart(target);
  return rows;
}

async function rowsOf({ path, type }: ExportFile, from: string): Promise<number> {
  const counter = new RowCounter(path, type);
  for await (const chunk of createReadStream(from)) counter.add(chunk);
  return counter.end();
}

function synchronize(path: string): void {
  const opened = openSync(path, "r+");
  try {
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
}
