import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { rootCertificates } from "node:tls";

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Sending {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Uint8Array;
}

const agents = new Map<string, Agent>();

/** One keep-alive agent for each certificate: a connection must not be shared between two certificates. */
function agentFor(
  ca: string | undefined,
  identity: { readonly cert: string; readonly key: string } | undefined,
): Agent {
  const name = `${ca ?? ""} ${identity?.cert ?? ""}`;
  const known = agents.get(name);
  if (known !== undefined) return known;
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 64,
    ...(ca === undefined ? {} : { ca: [...rootCertificates, readFileSync(ca, "utf8")] }),
    minVersion: "TLSv1.3",
    ...(identity === undefined ? {} : { cert: readFileSync(identity.cert), key: readFileSync(identity.key) }),
  });
  agents.set(name, agent);
  return agent;
}

/** An answer whose body is still to come. */
export interface OpenedReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
}

/** Sends one HTTPS request, with or without a client certificate, and resolves when the body begins. */
export function openRequest(
  trust: { readonly ca: string | undefined },
  identity: { readonly cert: string; readonly key: string } | undefined,
  url: string,
  { method = "GET", headers = {}, body }: Sending = {},
): Promise<OpenedReply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method,
        agent: agentFor(trust.ca, identity),
        headers: { ...headers, ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }) },
      },
      (incoming) => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: incoming }),
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/**
 * Sends one HTTPS request, with or without a client certificate. Rejects when the transfer breaks before its
 * end.
 */
export async function send(...request: Parameters<typeof openRequest>): Promise<Reply> {
  const { status, headers, body } = await openRequest(...request);
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    body.on("data", (chunk: Buffer) => chunks.push(chunk));
    body.on("end", () => resolve({ status, headers, text: Buffer.concat(chunks).toString("utf8") }));
    body.on("error", reject);
    body.on("aborted", () => reject(new Error("the transfer broke")));
  });
}

/** Ends the idle connections, so that a command can exit. */
export function closeConnections(): void {
  for (const agent of agents.values()) agent.destroy();
  agents.clear();
}
