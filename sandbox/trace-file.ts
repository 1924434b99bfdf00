import { createWriteStream } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { StartRefusal } from "./start-refusal.ts";

/** A collector on this machine. */
export interface TraceFile {
  /** Its address for OTLP/HTTP in JSON. */
  readonly url: string;
  close(): Promise<void>;
}

const bytesMax = 1_048_576; // 256 spans take 150 KB

/**
 * Receives traces, and appends each to a file: a line of OTLP in JSON. Throws a StartRefusal for a file that cannot
 * be written.
 */
export async function openTraceFile(path: string): Promise<TraceFile> {
  const file = createWriteStream(path, { flags: "a", mode: 0o600 });
  await once(file, "open").catch((fault: unknown) => {
    throw new StartRefusal(`--trace: ${path}: ${fault instanceof Error ? fault.message : "not writable"}`);
  });
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > bytesMax) request.destroy();
      else chunks.push(chunk);
    });
    request.on("end", () => {
      file.write(`${Buffer.concat(chunks).toString("utf8").replaceAll("\n", " ")}\n`);
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // a listening TCP server has a port
  return {
    url: `http://127.0.0.1:${port}/v1/traces`,
    async close() {
      server.closeAllConnections();
      server.close();
      file.end();
      await once(file, "close");
    },
  };
}
