import { join } from "node:path";
import { start } from "../process/process.ts";
import { countRows } from "./audit-rows.ts";
import { verifyChain } from "./chain-file.ts";
import type { Ledger, Peer, PeerName } from "./peer.ts";
import type { Issuer } from "./phylax.ts";

/** A server's settings, as JSON in its first argument. */
export interface FastifySettings {
  readonly origin: string;
  readonly issuer: string;
  readonly audience: string;
  /** The issuer's published key set. */
  readonly jwks: string;
  /** Path of the file of its records. */
  readonly ledger: string;
  readonly purpose: string;
  readonly policy: string;
  /** Requests a minute. */
  readonly quota: number;
}
export interface TunedSettings extends FastifySettings {
  readonly cachesTokens: boolean;
}

/** The parts that Fastify's own documentation puts together, for tokens of Phylax's issuer. */
export const startStock = (folder: string, origin: string, issuer: Issuer): Promise<Peer> =>
  startFastify(
    "fastify-stock",
    "fastify-stock-server.ts",
    settingsOf(folder, "stock.sqlite", origin, issuer),
    issuer,
    {
      describe:
        "@fastify/reply-from, jwt (with its cache), rate-limit; parse, cut, stringify; a durable row an answer",
      records: (path) => Promise.resolve(countRows(path)),
    },
  );

/** Fastify with Phylax's duties in one process, as fast as its authors would make it. */
export const startTuned = (
  folder: string,
  origin: string,
  issuer: Issuer,
  cachesTokens: boolean,
): Promise<Peer> => {
  const name = cachesTokens ? "fastify-tuned-cache" : "fastify-tuned";
  const settings: TunedSettings = { ...settingsOf(folder, `${name}.jsonl`, origin, issuer), cachesTokens };
  return startFastify(name, "fastify-tuned-server.ts", settings, issuer, {
    describe: cachesTokens
      ? "the same, remembering verified tokens"
      : "Phylax's duties in one Node process, group commit",
    records: verifyChain,
  });
};

const settingsOf = (folder: string, file: string, origin: string, issuer: Issuer): FastifySettings => ({
  origin,
  issuer: issuer.issuer,
  audience: issuer.audience,
  jwks: issuer.jwks,
  ledger: join(folder, file),
  purpose: issuer.purpose,
  policy: "hpaymt",
  quota: 1_000_000_000,
});

async function startFastify(
  name: PeerName,
  server: string,
  settings: FastifySettings,
  issuer: Issuer,
  {
    describe,
    records,
  }: { readonly describe: string; readonly records: (path: string) => ReturnType<Ledger["records"]> },
): Promise<Peer> {
  const running = await start({
    place: "measured",
    command: [process.execPath, join(import.meta.dirname, server), JSON.stringify(settings)],
    ready: [/^listening http:\/\/127\.0\.0\.1:(?<port>\d+)/mu],
  });
  return {
    name,
    describe,
    target: { host: "127.0.0.1", port: Number(running.ready["port"]) },
    isFull: true,
    headers: async (crowd) =>
      (await issuer.bearers(crowd)).map(({ token, certificate }) => [
        `Authorization: Bearer ${token}`,
        `Client-Cert: ${certificate}`,
      ]),
    process: running,
    ledger: { records: () => records(settings.ledger) },
  };
}
