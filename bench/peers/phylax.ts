import { spawnSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { instant } from "#kernel/clock";
import { openLogs } from "#ledger/log-name";
import { verifierKeys } from "../../sandbox/dev-json.ts";
import type { FiledConsents } from "../data/payloads.ts";
import type { Running } from "../process/process.ts";
import { serveDeployed, type Deployment } from "../workerd/serve.ts";
import { filingsFor } from "./consents.ts";
import { Crowd, edgeFacts, type Bearer } from "./crowd.ts";
import { crowdNames, type CrowdName, type Peer } from "./peer.ts";

const root = join(import.meta.dirname, "../..");
const publicUrl = "https://phylax.bench.example"; // nothing listens there: the sockets are on 127.0.0.1
const ledgerName = "ledger.bench.example";
const ledgerShards = 4;
// The maximum that a registry accepts: the counter works for each request and never refuses.
const quotas = { default: { requests: 1_000_000_000, windowSeconds: 86_400 } };

/** The facts about the running gateway that its peers need to accept the same tokens. */
export interface Issuer {
  readonly issuer: string;
  readonly audience: string;
  readonly jwks: string;
  readonly purpose: string;
  /** The tokens of some of its clients. */
  bearers(crowd: CrowdName): Promise<readonly Bearer[]>;
}

export interface Phylax {
  readonly peer: Peer;
  readonly issuer: Issuer;
  readonly process: Running;
  readonly inspectorPort: number | undefined;
}

/**
 * Starts the deployed Workers in raw workerd before an origin, with the benchmark's clients registered and with
 * Consents on file at the origin's second name.
 */
export async function startPhylax(
  folder: string,
  origin: string,
  deployment: Deployment,
  filed: readonly FiledConsents[] = [],
): Promise<Phylax> {
  const crowds = new Map<CrowdName, Crowd>();
  for (const name of crowdNames) crowds.set(name, await Crowd.create(folder, name)); // one authority for all
  const checkpointKey = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const vars = varsOf(new URL(origin).host, checkpointKey, deployment.traces);
  const raw = await serveDeployed(folder, vars, deployment);
  const consents = filed.map((one) => ({
    origin: "consents",
    patient: one.patient,
    filings: filingsFor(one, origin),
  }));
  await raw.prepare(registryOf(crowds, origin), consents);

  const gateway = `http://127.0.0.1:${raw.gatewayPort}`;
  const bearers = async (crowd: CrowdName) =>
    (await crowds.get(crowd)?.bearers(`${gateway}/oauth/token`, publicUrl)) ?? [];
  const keys = join(folder, "keys.json");
  const logs = verifierKeys(
    { ledgerName, shards: ledgerShards, checkpointKey },
    openLogs(ledgerShards, instant(Date.now())),
  );
  writeFileSync(keys, JSON.stringify({ logs, ledger: `http://127.0.0.1:${raw.ledgerPort}` }));
  return {
    peer: {
      name: "phylax",
      describe: "Phylax: gateway, guard and ledger in raw workerd, bundled as wrangler deploys them",
      target: { host: "127.0.0.1", port: raw.gatewayPort },
      isFull: true,
      headers: async (crowd) =>
        (await bearers(crowd)).map(({ token, certificate }) =>
          Object.entries({ Authorization: `Bearer ${token}`, ...edgeFacts(certificate) }).map(
            ([name, value]) => `${name}: ${value}`,
          ),
        ),
      process: raw.process,
      ledger: { records: async () => recordsIn(keys) },
    },
    issuer: {
      issuer: publicUrl,
      audience: `${publicUrl}/v1/fhir/main`,
      jwks: await (await fetch(`${gateway}/oauth/jwks`)).text(),
      purpose: "HPAYMT",
      bearers,
    },
    process: raw.process,
    inspectorPort: raw.inspectorPort,
  };
}

/** Variables and secrets of each Worker, new for each run. */
function varsOf(originHost: string, checkpointKey: object, traces = "") {
  const secret = () => randomBytes(32).toString("base64url");
  const jwk = (type: "ec" | "ed25519", kid: string) => {
    const { privateKey } =
      type === "ec" ? generateKeyPairSync("ec", { namedCurve: "P-256" }) : generateKeyPairSync("ed25519");
    return JSON.stringify({
      ...privateKey.export({ format: "jwk" }),
      kid,
      alg: type === "ec" ? "ES256" : "Ed25519",
    });
  };
  const auditors = ["auditor-1", "auditor-2"].map((kid) => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    return Object.assign(publicKey.export({ format: "jwk" }), { kid });
  });
  const places = {
    PUBLIC_URL: publicUrl,
    ORIGIN_HOSTS: originHost,
    IDENTITY_HOSTS: "localhost",
    SECRET_HOSTS: "",
  };
  const shards = { LEDGER_SHARDS: String(ledgerShards) };
  // the gateway's links to pages are opened by jobs too
  const shared = { PAGING_KEY: secret(), DPOP_NONCE_KEY: secret() };
  return {
    gateway: {
      ...places,
      ...shards,
      TRACES: traces,
      TOKEN_SIGNING_KEY: jwk("ec", "token-1"),
      RESPONSE_SIGNING_KEY: jwk("ed25519", "answers-1"),
      ...shared,
    },
    control: { ...places, SEEDING: "allowed", CONSENT_KEY: secret() },
    guards: {},
    jobs: { ...places, ...shards, ...shared, CODES_KEY: secret() },
    ledger: {
      ...shards,
      LEDGER_NAME: ledgerName,
      AUDITOR_KEYS: JSON.stringify({ keys: auditors }),
      CHECKPOINT_KEY: JSON.stringify(checkpointKey),
      ACCOUNTING_KEY: secret(),
      SUBJECT_KEY: secret(),
    },
  };
}

/** The benchmark's clients are payers like the demonstration's, with quotas that never end. */
function registryOf(crowds: ReadonlyMap<CrowdName, Crowd>, origin: string): unknown {
  const policy: unknown = JSON.parse(readFileSync(join(root, "policies/hpaymt.json"), "utf8"));
  const clients = [...crowds.values()].flatMap((crowd) => crowd.clients);
  const granted = [...crowds].flatMap(([name, crowd]) =>
    crowd.clients.map(({ id }) => ({ id, origin: name === "consents" ? "consents" : "main" })),
  );
  return {
    origins: ["main", "consents"].map((name) => ({ name, url: origin, credentials: { kind: "none" } })),
    policies: [{ name: "hpaymt", body: policy }],
    clients: clients.map(({ id, jwk, pem }) => ({
      id,
      kind: "payer",
      auth: "private_key_jwt",
      jwks: { keys: [jwk] },
      certificates: [pem],
    })),
    agreements: clients.map(({ id }) => ({
      id: `${id}-agreement`,
      client: id,
      purposes: ["HPAYMT"],
      from: "2026-01-01",
      to: "2036-01-01",
      documentHash: "0".repeat(64),
    })),
    grants: granted.map(({ id, origin }) => ({
      client: id,
      origin,
      purpose: "HPAYMT",
      agreement: `${id}-agreement`,
      policy: "hpaymt",
      scopes: "system/*.rs",
      quotas,
    })),
  };
}

/** The number of leaves of a ledger that verifies, as an outsider with the public keys would check it. */
function recordsIn(keys: string): number {
  const args = [join(root, "cli/main.ts"), "ledger", "verify", "--keys", keys];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`the ledger does not verify: ${stdout}${stderr}`);
  return [...stdout.matchAll(/: good: (\d+) leaves/gu)].reduce((sum, [, leaves]) => sum + Number(leaves), 0);
}
