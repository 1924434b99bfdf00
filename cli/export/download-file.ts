import { createReadStream, createWriteStream, existsSync, renameSync, rmSync } from "node:fs";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import type { OpenedReply } from "../connection/mutual-tls.ts";
import { Passing, waitSecondsOf, type ExportSession } from "./export-session.ts";
import { RowCounter } from "./row-counter.ts";

/** A file of a manifest, and its place on the disk. */
export interface ExportFile {
  readonly url: string;
  readonly type: string;
  readonly path: string;
}

type FileReply = Pick<OpenedReply, "status" | "headers"> & { readonly body: Readable };

/**
 * Downloads a file, unless an earlier call did. The file gets its name when all of its bytes are there and each line is
 * a resource of its type. A transfer that breaks leaves no file, and throws: the rows of a repeat are those of its own
 * moment.
 *
 * @param counted is called with the number of rows so far
 * @returns the number of its rows
 */
export async function downloadFile(
  { url, type, path }: ExportFile,
  session: { open(...asked: Parameters<ExportSession["open"]>): Promise<FileReply> },
  counted: (rows: number) => void = () => undefined,
): Promise<number> {
  const counter = new RowCounter(path, type);
  if (existsSync(path)) {
    for await (const chunk of createReadStream(path)) counter.add(chunk);
    return counter.end();
  }
  const part = `${path}.part`;
  const reply = await session.open(url, {
    headers: { accept: "application/fhir+ndjson", "accept-encoding": "gzip" },
  });
  const { status, headers, body } = reply;
  if (status !== 200) {
    body.resume();
    const words = `the server answers ${status} for a file`;
    if (status === 429 || status >= 500) throw new Passing(words, waitSecondsOf(reply));
    throw new Error(status === 404 ? `${words}: its time is over, or it was cancelled` : words);
  }
  async function* lines(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of bytes) {
      counted(counter.add(chunk));
      yield chunk;
    }
  }
  const written = createWriteStream(part, { flags: "w", mode: 0o600, flush: true });
  try {
    await (headers["content-encoding"] === "gzip"
      ? pipeline(body, createGunzip(), lines, written)
      : pipeline(body, lines, written));
    const rows = counter.end();
    renameSync(part, path);
    return rows;
  } catch (fault) {
    rmSync(part, { force: true });
    throw fault;
  }
}
