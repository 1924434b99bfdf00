import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { request } from "node:https";
import { join } from "node:path";

export interface TourReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends one GET over TLS 1.3, with a client's certificate or without. */
export function get(
  ca: string,
  client: { readonly cert: string; readonly key: string } | undefined,
  url: string,
  token?: string,
): Promise<TourReply> {
  const files = client && { cert: readFileSync(client.cert), key: readFileSync(client.key) };
  return new Promise((done, failed) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const asking = request(
      url,
      { agent: false, ca: readFileSync(ca), minVersion: "TLSv1.3", headers, ...files },
      (reply) => {
        let text = "";
        reply.setEncoding("utf8");
        reply.on("data", (chunk: string) => (text += chunk));
        reply.on("end", () => done({ status: reply.statusCode ?? 0, headers: reply.headers, text }));
        reply.on("error", failed);
      },
    );
    asking.on("error", failed);
    asking.end();
  });
}

interface Ended {
  readonly code: number | null;
  readonly said: string;
}

/** Runs `phylax …` as an operator would: a process of its own, with its arguments alone. */
export const phylax = (...args: readonly string[]): Promise<Ended> => phylaxWith(args);

export function phylaxWith(args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../cli/main.ts"), ...args]);
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((done) => child.on("close", (code) => done({ code, said: said.trim() })));
}
