import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { freePort } from "../free-port.ts";
import { start, type Running } from "../process.ts";
import { accessToken } from "./access-token.ts";
import { ask } from "./ask.ts";
import type { Ledger, Peer } from "./peer.ts";

const root = join(import.meta.dirname, "../..");

/** The members of dev.json that the benchmark reads. */
interface DevFile {
  readonly gateway: string;
  readonly audience: string;
  readonly ledger: string;
  readonly origin: string;
  readonly worker: string;
  readonly ca: string;
  readonly clients: readonly { readonly id: string; readonly cert: string; readonly key: string }[];
}

/** A running Phylax, as `npm start` makes it, with the benchmark's own client. */
export interface Phylax {
  readonly gateway: string;
  readonly audience: string;
  /** The client's certificate as a structured-field byte sequence (RFC 9440). */
  readonly certificate: string;
  readonly process: Running;
  /** The gateway's own socket, and the socket of its TLS front. */
  readonly peers: readonly Peer[];
  /** A token that is valid for another four minutes. */
  token(): Promise<string>;
  jwks(): Promise<string>;
}

const clientId = "bench";
const kid = "bench-1";
// The maximum that a registry accepts: the counter works for each request and never refuses.
const quotas = { default: { requests: 1_000_000_000, windowSeconds: 86_400 } };

/**
 * Starts Phylax twice on one state. The first start serves the synthetic patients; `take` gets the server's
 * address and returns the origin for the second start. The client is the demonstration's payer under a
 * different name, with a quota that never ends.
 */
export async function startPhylax(
  folder: string,
  take: (server: string) => Promise<string>,
): Promise<Phylax> {
  const state = join(folder, "state");
  mkdirSync(state, { recursive: true });
  const first = await launch(state);
  const origin = await take(first.dev.origin);
  const { cert, key } = first.dev.clients.find(({ id }) => id === "payer") ?? {};
  if (cert === undefined || key === undefined) throw new Error("dev.json has no payer");
  await first.process.close();

  const keys = await generateKeyPair("ES256", { extractable: true });
  const registry = join(folder, "registry.json");
  writeFileSync(
    registry,
    JSON.stringify(
      registryFile({ ...(await exportJWK(keys.publicKey)), kid, alg: "ES256" }, readFileSync(cert, "utf8")),
    ),
  );
  const { dev, process } = await launch(state, ["--origin", origin, "--registry", registry]);

  const tls = { ca: dev.ca, cert, key };
  let kept: { readonly token: string; readonly until: number } | undefined;
  const token = async () => {
    if (kept === undefined || Date.now() > kept.until) {
      kept = {
        token: await accessToken(dev.gateway, { id: clientId, key: keys.privateKey, kid, tls }),
        until: Date.now() + 60_000,
      };
    }
    return kept.token;
  };
  const certificate = `:${new X509Certificate(readFileSync(cert)).raw.toString("base64")}:`;
  const ledger: Ledger = { records: async () => recordsIn(state) };
  const common = { isFull: true, process, ledger };
  return {
    gateway: dev.gateway,
    audience: dev.audience,
    certificate,
    process,
    token,
    jwks: () => ask(`${dev.gateway}/oauth/jwks`, tls),
    peers: [
      {
        ...common,
        name: "phylax",
        describe: "Phylax: gateway, guard and ledger as npm start runs them, plain",
        target: targetOf(dev.worker),
        headers: async () => [`Authorization: Bearer ${await token()}`, ...edgeFacts(certificate)],
      },
      {
        ...common,
        name: "phylax-tls",
        describe: "the same behind its TLS 1.3 front",
        target: { ...targetOf(dev.gateway), tls },
        headers: async () => [`Authorization: Bearer ${await token()}`],
      },
    ],
  };
}

async function launch(
  state: string,
  more: readonly string[] = [],
): Promise<{ readonly dev: DevFile; readonly process: Running }> {
  const args = ["--port", String(await freePort()), "--state", state, ...more];
  const running = await start(
    "measured",
    [process.execPath, join(root, "sandbox/start.ts"), ...args],
    /^ready/mu,
  );
  const dev: DevFile = JSON.parse(readFileSync(join(state, "dev.json"), "utf8"));
  return { dev, process: running };
}

function registryFile(jwk: JWK, certificate: string): unknown {
  const policy: unknown = JSON.parse(readFileSync(join(root, "policies/hpaymt.json"), "utf8"));
  const agreement = `${clientId}-agreement`;
  return {
    policies: [{ name: "hpaymt", body: policy }],
    clients: [
      {
        id: clientId,
        kind: "payer",
        auth: "private_key_jwt",
        jwks: { keys: [jwk] },
        certificates: [certificate],
      },
    ],
    agreements: [
      {
        id: agreement,
        client: clientId,
        purposes: ["HPAYMT"],
        from: "2026-01-01",
        to: "2036-01-01",
        documentHash: "0".repeat(64),
      },
    ],
    grants: [
      {
        client: clientId,
        origin: "main",
        purpose: "HPAYMT",
        agreement,
        policy: "hpaymt",
        scopes: "system/*.rs",
        quotas,
      },
    ],
  };
}

function targetOf(url: string): { readonly host: string; readonly port: number } {
  const { port } = new URL(url);
  return { host: "127.0.0.1", port: Number(port) };
}

/**
 * The facts about a connection that the TLS front sends to the Worker (sandbox/edge-facts.ts), as header
 * lines.
 */
function edgeFacts(certificate: string): readonly string[] {
  const tlsClientAuth = {
    certPresented: "1",
    certVerified: "SUCCESS",
    certRevoked: "0",
    certRFC9440: certificate,
    certRFC9440TooLarge: false,
  };
  return [
    `MF-CF-Blob: ${JSON.stringify({ httpProtocol: "HTTP/1.1", tlsVersion: "TLSv1.3", tlsClientAuth })}`,
    "MF-Disable-Pretty-Error: true",
    "CF-Connecting-IP: 127.0.0.1",
    "X-Forwarded-Proto: https",
  ];
}

/** The number of leaves of a ledger that verifies, as an outsider with the public keys would check it. */
function recordsIn(state: string): number {
  const args = [join(root, "cli/main.ts"), "ledger", "verify", "--keys", join(state, "dev.json")];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`the ledger does not verify: ${stderr}`);
  return [...stdout.matchAll(/: good: (\d+) leaves/gu)].reduce((sum, [, leaves]) => sum + Number(leaves), 0);
}
