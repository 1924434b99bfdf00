import { readFileSync } from "node:fs";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { ensureServerCertificate } from "../../sandbox/certificates.ts";

export interface IdentityQuestion {
  readonly form: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
}

/** A JSON body for a 200, or a bare status. */
type IdentityAnswer = object | number;

/**
 * The key sets, introspection and token endpoints of an external identity provider, by https on this
 * machine, under the authority that the sandbox trusts.
 */
export interface IdentityServer {
  /** `https://localhost:port`. */
  readonly url: string;
  /** The path of each question. */
  readonly asked: string[];
  serve(path: string, answer: (question: IdentityQuestion) => IdentityAnswer | Promise<IdentityAnswer>): void;
  close(): Promise<void>;
}

/** @param pki the folder of the stack's authorities. */
export async function startIdentityServer(pki: string): Promise<IdentityServer> {
  const { cert, key } = await ensureServerCertificate(pki);
  const asked: string[] = [];
  const routes = new Map<string, (question: IdentityQuestion) => IdentityAnswer | Promise<IdentityAnswer>>();
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    const path = req.url ?? "";
    asked.push(path);
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(Buffer.from(chunk));
    const form = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
    const said = (await routes.get(path)?.({ form, headers: req.headers })) ?? 404;
    if (typeof said === "number") res.writeHead(said).end();
    else res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(said));
  };
  const server = createServer(
    { cert: readFileSync(cert), key: readFileSync(key) },
    (req, res) => void answer(req, res),
  );
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has a port
  return {
    url: `https://localhost:${port}`,
    asked,
    serve: (path, route) => void routes.set(path, route),
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
