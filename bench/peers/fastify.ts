import { join } from "node:path";
import { start } from "../process.ts";
import { verifyChain } from "./chain-file.ts";
import type { Peer } from "./peer.ts";
import type { Phylax } from "./phylax.ts";

/** The server's settings, as JSON in its first argument. */
export interface FastifySettings {
  readonly origin: string;
  readonly issuer: string;
  readonly audience: string;
  /** The issuer's published key set. */
  readonly jwks: string;
  readonly ledger: string;
  readonly purpose: string;
  readonly policy: string;
  /** Requests a minute. */
  readonly quota: number;
  readonly cachesTokens: boolean;
}

/**
 * Fastify with the same duties, for tokens of Phylax's own issuer: one process, as fast as its authors would
 * make it.
 */
export async function startFastify(
  folder: string,
  origin: string,
  phylax: Phylax,
  cachesTokens: boolean,
): Promise<Peer> {
  const name = cachesTokens ? "fastify-cache" : "fastify";
  const settings: FastifySettings = {
    origin,
    issuer: phylax.gateway,
    audience: phylax.audience,
    jwks: await phylax.jwks(),
    ledger: join(folder, `${name}.jsonl`),
    purpose: "HPAYMT",
    policy: "hpaymt",
    quota: 1_000_000_000,
    cachesTokens,
  };
  const running = await start(
    "measured",
    [process.execPath, join(import.meta.dirname, "fastify-server.ts"), JSON.stringify(settings)],
    /^listening http:\/\/127\.0\.0\.1:(?<port>\d+)/mu,
  );
  return {
    name,
    describe: cachesTokens
      ? "the same, remembering verified tokens"
      : "Fastify with the same duties on one machine",
    target: { host: "127.0.0.1", port: Number(running.ready["port"]) },
    isFull: true,
    headers: async () => [
      `Authorization: Bearer ${await phylax.token()}`,
      `Client-Cert: ${phylax.certificate}`,
    ],
    process: running,
    ledger: { records: () => verifyChain(settings.ledger) },
  };
}
