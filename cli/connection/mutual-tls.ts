import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import type { IncomingHttpHeaders } from "node:http";
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

/**
 * Sends one HTTPS request, with or without a client certificate. Rejects when the transfer breaks before its
 * end.
 */
export function send(
  trust: { readonly ca: string | undefined },
  identity: { readonly cert: string; readonly key: string } | undefined,
  url: string,
  { method = "GET", headers = {}, body }: Sending = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method,
        agent: agentFor(trust.ca, identity),
        headers: { ...headers, ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }) },
      },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("end", () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text: Buffer.concat(chunks).toString("utf8"),
          }),
        );
        incoming.on("error", reject);
        incoming.on("aborted", () => reject(new Error("the transfer broke")));
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** Ends the idle connections, so that a command can exit. */
export function closeConnections(): void {
  for (const agent of agents.values()) agent.destroy();
  agents.clear();
}
