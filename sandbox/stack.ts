import { createPublicKey } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { instant } from "#kernel/clock";
import { openLogs } from "#ledger/log-name";
import { verifierKey } from "#ledger/signed-note";
import { ensureAuthority, ensureServerCertificate } from "./certificates.ts";
import { demo } from "./demo.ts";
import { openFhirServer } from "./fhir-server.ts";
import { startFront } from "./front.ts";
import { keptKey, keptSecret, publicHalf, writeWhole } from "./keys.ts";
import { startRuntime, type Runtime } from "./runtime.ts";

export interface StackOptions {
  readonly port: number;
  readonly state: string;
  readonly bundles: string | undefined;
  /** Base of a FHIR server that is there already, without a trailing slash; `bundles` are of no use then. */
  readonly origin?: string | undefined;
  readonly say: (line: string) => void;
  readonly inspectStorage?: boolean;
  /** Hears of each request that reaches the sandbox's origin. */
  readonly onOriginRequest?: (request: { readonly method: string; readonly path: string }) => void;
}

export interface Stack {
  /** The content of dev.json (DESIGN §10). */
  readonly dev: Readonly<Record<string, unknown>>;
  readonly runtime: Runtime;
  close(): Promise<void>;
}

const ledgerName = "ledger.phylax.example";
const ledgerShards = 4;
const originName = "main";

/** All of Phylax on this machine: origin, workers, TLS front, demo clients. Writes `<state>/dev.json` when all is up. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { port, state, say, inspectStorage = false } = options;
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const release = claim(state);
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end();
    rmSync(join(state, "dev.json"), { force: true });
    release();
  };
  try {
    const gateway = `https://localhost:${port}`;
    const fhir = `${gateway}/v1/fhir/${originName}`;
    const pki = join(state, "pki");
    const { serverCa, clientCa } = await ensureAuthority(pki);

    const origin = await openFhirServer(options);
    closers.push(() => origin.close());
    say(`origin: ${origin.describe} at ${origin.url}`);

    const secret = (name: string) => join(state, "secrets", name);
    const tokenKey = await keptKey(secret("token-signing.jwk.json"), "ES256", "token-1");
    const checkpointKey = await keptKey(secret("checkpoint.jwk.json"), "Ed25519", "checkpoint-1");
    const auditorPaths = ["auditor-1", "auditor-2"].map((name) => join(state, "auditors", `${name}.jwk.json`));
    const auditors = await Promise.all(auditorPaths.map((path, i) => keptKey(path, "ECDH-ES+A256KW", `auditor-${i + 1}`)));

    const runtime = await startRuntime(join(state, "workers"), {
      inspectStorage,
      gateway: {
        vars: { PUBLIC_URL: gateway, LEDGER_SHARDS: String(ledgerShards), ORIGIN_HOSTS: new URL(origin.url).host },
        secrets: { TOKEN_SIGNING_KEY: JSON.stringify(tokenKey), PAGING_KEY: keptSecret(secret("paging")) },
      },
      control: { vars: { PUBLIC_URL: gateway } },
      ledger: {
        vars: {
          LEDGER_NAME: ledgerName,
          LEDGER_SHARDS: String(ledgerShards),
          AUDITOR_KEYS: JSON.stringify({ keys: auditors.map(publicHalf) }),
        },
        secrets: {
          CHECKPOINT_KEY: JSON.stringify(checkpointKey),
          ACCOUNTING_KEY: keptSecret(secret("accounting")),
          SUBJECT_KEY: keptSecret(secret("subject")),
        },
      },
    });
    closers.push(() => runtime.close());

    const { registry, clients } = await demo(state, pki, { name: originName, url: origin.url }, fhir);
    await runtime.applyRegistry(registry);

    const front = await startFront({ port, server: await ensureServerCertificate(pki), clientCa: clientCa.cert, target: runtime.gateway });
    closers.push(() => front.close());

    const { x = "" } = createPublicKey({ key: { ...publicHalf(checkpointKey) }, format: "jwk" }).export({ format: "jwk" });
    const dev = {
      gateway,
      fhir,
      audience: fhir,
      tokenEndpoint: `${gateway}/oauth/token`,
      worker: `http://${runtime.gateway.host}:${runtime.gateway.port}`, // behind the front, for the benchmark: this file names the CA key anyway
      ledger: runtime.ledgerUrl,
      origin: origin.url,
      ca: serverCa.cert,
      clientCa,
      ledgerName,
      logs: verifierKeys(new Uint8Array(Buffer.from(x, "base64url"))),
      pid: process.pid,
      issuers: [],
      users: [],
      auditors: auditorPaths.map((key) => ({ key })),
      operators: [],
      clients,
    };
    writeWhole(join(state, "dev.json"), `${JSON.stringify(dev, undefined, 2)}\n`);
    const renewing = setInterval(() => {
      const logs = verifierKeys(new Uint8Array(Buffer.from(x, "base64url")));
      if (Object.keys(logs).some((log) => !(log in dev.logs))) {
        Object.assign(dev.logs, logs); // a half-year begins: its logs join the list, the old ones stay
        writeWhole(join(state, "dev.json"), `${JSON.stringify(dev, undefined, 2)}\n`);
      }
    }, 30_000);
    closers.push(async () => clearInterval(renewing));
    return { dev, runtime, close };
  } catch (fault) {
    await close();
    throw fault;
  }
}

/** Every log that takes records now, with the key that its checkpoints are checked with. */
function verifierKeys(publicKey: Uint8Array): Record<string, string> {
  const logs = openLogs(ledgerShards, instant(Date.now()));
  return Object.fromEntries(logs.map((log) => [log, verifierKey(`${ledgerName}/${log}`, publicKey)]));
}

/** Two stacks on one state would be two writers of one ledger: the first holds a file with its process id until it ends. */
function claim(state: string): () => void {
  const file = join(state, "running.pid");
  const holder = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  if (holder > 0 && holder !== process.pid && isRunning(holder)) throw new Error(`${state} is in use by process ${holder}`);
  rmSync(file, { force: true }); // of a stack that was killed
  writeFileSync(file, String(process.pid), { flag: "wx" });
  return () => rmSync(file, { force: true });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
