import { readFileSync } from "node:fs";
import { join } from "node:path";
import { originProblems } from "#platform/origins/origin-state";
import { ensureAuthority, ensureServerCertificate, issueClientCertificate } from "./certificates.ts";
import { claim } from "./claim.ts";
import { demo } from "./demo/demo.ts";
import { keepDevFile, rootKey, witnessKey } from "./dev-json.ts";
import { openFhirServer } from "./fhir-server/fhir-server.ts";
import { startFront } from "./front/front.ts";
import { consentPageClient } from "./identity-provider/consent/consent-filer.ts";
import { consentPageEntry } from "./identity-provider/consent/consent-page-entry.ts";
import { consoleClient, operatorsClient } from "./identity-provider/operators.ts";
import { privacyDeskClient, privacyDeskEntry } from "./identity-provider/privacy-desk-entry.ts";
import { startIdentityProvider } from "./identity-provider/start.ts";
import { holdKeptPort, holdPort } from "./kept-port.ts";
import { keptKey, keptSecret, publicHalf } from "./keys.ts";
import { sandboxOperators, type DemoOperator } from "./operators.ts";
import { readRegistryFile, type RegistryFile } from "./registry-file.ts";
import type { Runtime, WorkerSettings } from "./runtime/runtime.ts";
import type { WorkerBundles } from "./runtime/worker-bundles.ts";
import { runtimeThatTrusts } from "./runtime/trusting-runtime.ts";
import { StartRefusal } from "./start-refusal.ts";

export interface StackOptions {
  readonly port: number;
  readonly state: string;
  readonly bundles: string | undefined;
  /** Base of an existing FHIR server, without a trailing slash; `bundles` have no effect then. */
  readonly origin?: string | undefined;
  /** A registry file to merge after the demonstration's. */
  readonly registry?: string | undefined;
  /** An act that opens access needs the approval of a second person. */
  readonly twoPersons?: boolean;
  /** Deletes the state first. */
  readonly reset?: boolean;
  /**
   * Called when workerd ends by itself: no part of the stack answers any more, and the caller must close it.
   */
  readonly onCrash?: () => void;
  readonly say: (line: string) => void;
  readonly inspectStorage?: boolean;
  /** Workers that are built already; without them they are built into the state folder. */
  readonly workers?: WorkerBundles | undefined;
  /** The ledger's LEDGER_SETTLE_SECONDS, if it differs from the configured value. */
  readonly settleSeconds?: number;
  /** More isolates of the gateway, as in several cities. */
  readonly gatewaysElsewhere?: number;
  /**
   * A second name for the gateway, 127.0.0.1. In production a second name asks for client certificates; here
   * both names do.
   */
  readonly secondHost?: boolean;
  /** Called for each request that the sandbox's origin receives. */
  readonly onOriginRequest?: (request: { readonly method: string; readonly path: string }) => void;
}

export interface Stack {
  /** The content of dev.json. */
  readonly dev: Readonly<Record<string, unknown>>;
  readonly runtime: Runtime;
  close(): Promise<void>;
}

const ledgerName = "ledger.phylax.example";
const ledgerShards = 4;
const originName = "main";
const witnessName = "witness.phylax.example/w1";

/**
 * All of Phylax on this machine: origin, workers, TLS fronts, demo clients. Writes `<state>/dev.json` when
 * every worker is up. Throws a StartRefusal for a registry file that cannot be used.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { port, state, say, reset = false } = options;
  // before any state is deleted
  const file = options.registry === undefined ? undefined : readRegistryFile(options.registry, process.env);
  const release = claim(state, reset);
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end();
    release();
  };
  try {
    const gatewayPort = await holdPort(port);
    closers.push(() => gatewayPort.release());
    const gateway = `https://localhost:${port}`;
    const fhir = `${gateway}/v1/fhir/${originName}`;
    const pki = join(state, "pki");
    const { serverCa, clientCa } = await ensureAuthority(pki);

    const origin = await openFhirServer(options);
    closers.push(() => origin.close());
    say(`origin: ${origin.describe} at ${origin.url}`);

    const keys = await keysOf(state);
    const opsPort = await holdKeptPort(join(state, "ops.port"), [port]);
    closers.push(() => opsPort.release());
    const ops = `https://localhost:${opsPort.port}`;
    const witnessPort = await holdKeptPort(join(state, "witness.port"), [port, opsPort.port]);
    closers.push(() => witnessPort.release());
    const ledgerPort = await holdKeptPort(join(state, "ledger.port"), [port, opsPort.port, witnessPort.port]);
    closers.push(() => ledgerPort.release());
    const issuerPort = await holdKeptPort(join(state, "identity-provider.port"), [
      port,
      opsPort.port,
      witnessPort.port,
      ledgerPort.port,
    ]);
    closers.push(() => issuerPort.release());
    const { startRuntime, authorities } = await runtimeThatTrusts(serverCa.cert, join(pki, "trusted.pem"));
    await witnessPort.release();
    await ledgerPort.release();
    const runtime = await startRuntime(join(state, "workers"), {
      bundles: options.workers,
      authorities,
      inspectStorage: options.inspectStorage ?? false,
      gatewaysElsewhere: options.gatewaysElsewhere ?? 0,
      onCrash: options.onCrash ?? (() => say("the Workers runtime died")),
      ...settings(
        {
          gateway,
          ops,
          originHosts: [new URL(origin.url).host, ...(file?.hosts ?? [])],
          identityHosts: ["localhost", ...(file?.identityHosts ?? [])],
          secretHosts: file?.secretHosts ?? [],
          mtls: options.secondHost === true ? `https://127.0.0.1:${port}` : "",
          secrets: file?.secrets ?? {},
          serviceBindings: certifiedServices(file?.certified ?? {}, serverCa.cert),
          witnessPort: witnessPort.port,
          ledgerPort: ledgerPort.port,
          issuerPort: issuerPort.port,
          settleSeconds: options.settleSeconds,
          twoPersons: options.twoPersons ?? false,
        },
        keys,
      ),
    });
    closers.push(() => runtime.close());

    const server = await ensureServerCertificate(pki);
    const { patient, patients } = origin;
    const consentPage = await issueClientCertificate(
      pki,
      consentPageClient,
      `O=Springfield General Hospital, CN=${consentPageClient}`,
    );
    await issuerPort.release();
    const provider = await startIdentityProvider({
      state,
      server,
      clientCa: clientCa.cert,
      ca: serverCa.cert,
      consentPage,
      portsOfOthers: [port, opsPort.port, ledgerPort.port],
      audience: fhir,
      patients,
      clients: ["patient-web", "single-page-app"],
      unboundClients: ["smart-app"],
      operators: { audience: ops, logins: [officerLogin, approverLogin] },
      say,
    });
    closers.push(() => provider.close());
    const { issuer } = provider;
    const { registry, clients } = await demo({
      state,
      pki,
      origin: { name: originName, url: origin.url, isSandbox: options.origin === undefined },
      gateway,
      audience: fhir,
      patient,
      issuer,
    });
    await runtime.applyRegistry(registry);
    await runtime.applyRegistry(privacyDeskEntry(originName, issuer.iss, ops));
    await runtime.applyRegistry(consentPageEntry(originName, issuer.iss, consentPage));
    const { machine, people } = await sandboxOperators(pki, issuer.iss, [officerLogin, approverLogin]);
    for (const { entry } of [machine, ...people]) await runtime.admitOperator(entry);
    if (file !== undefined) await addFile(runtime, file, say);

    const tls = { server, clientCa: clientCa.cert };
    await gatewayPort.release();
    const front = await startFront({ port, ...tls, target: runtime.gateway });
    closers.push(() => front.close());
    if (options.origin !== undefined || file !== undefined) {
      const readiness = await fetch(`http://${runtime.gateway.host}:${runtime.gateway.port}/readyz`);
      const names = [originName, ...(file?.origins ?? [])];
      for (const problem of originProblems(await readiness.json(), new Set(names))) say(problem);
    }
    await opsPort.release();
    const opsFront = await startFront({ port: opsPort.port, ...tls, target: runtime.ops });
    closers.push(() => opsFront.close());

    const content = {
      gateway,
      fhir,
      audience: fhir,
      tokenEndpoint: `${gateway}/oauth/token`,
      // behind the front, for the benchmark: this file names the CA key anyway
      worker: `http://${runtime.gateway.host}:${runtime.gateway.port}`,
      ledger: runtime.ledgerUrl,
      ops,
      console: `${ops}/console`,
      origin: origin.url,
      ca: serverCa.cert,
      clientCa,
      pid: process.pid,
      issuers: [
        { iss: issuer.iss, jwk: issuer.jwk, kid: issuer.kid, alg: issuer.alg, audience: issuer.audience },
      ],
      users: provider.people,
      auditors: keys.auditors.map(({ path }) => ({ key: path })),
      operators: [devOperator(machine)],
      officers: people.map((person, i) =>
        Object.assign(devOperator(person), provider.operators[i], {
          client: operatorsClient,
          signIn: person.entry.signIn,
        }),
      ),
      clients,
      root: rootKey({ ledgerName, checkpointKey: keys.checkpoint }),
      witnesses: { [witnessName]: witnessKey(witnessName, keys.witness) },
    };
    const devFile = keepDevFile(state, content, {
      ledgerName,
      shards: ledgerShards,
      checkpointKey: keys.checkpoint,
    });
    closers.push(() => devFile.close());
    return { dev: devFile.dev, runtime, close };
  } catch (fault) {
    await close();
    throw fault;
  }
}

/** Facts for the demonstration's accountings of disclosures, besides their lines (docs/accounting.md). */
const accountingFacts = {
  recipients: {
    "public-health": { name: "State Department of Health", address: "1 Health Plaza, Springfield" },
    research: { name: "Northern University", address: "2 Campus Road, Springfield" },
  },
  agreements: { "research-agreement": "viii" }, // a limited data set
  entity: { name: "Springfield General Hospital", contact: "privacy office, +1 555 0100" },
  zone: "America/New_York",
};

/** The logins of the operators at the sandbox's provider. */
const officerLogin = "officer-1";
const approverLogin = "officer-2";

const devOperator = ({ entry: { id, roles }, cert, key }: DemoOperator) => ({ id, roles, cert, key });

/**
 * The keys with which a stack signs, seals and derives names. They are made once and stored with the state.
 */
async function keysOf(state: string) {
  const secret = (name: string) => join(state, "secrets", name);
  const auditors = ["auditor-1", "auditor-2"].map(async (kid) => {
    const path = join(state, "auditors", `${kid}.jwk.json`);
    return { path, jwk: await keptKey(path, "ECDH-ES+A256KW", kid) };
  });
  return {
    token: await keptKey(secret("token-signing.jwk.json"), "ES256", "token-1"),
    answers: await keptKey(secret("response-signing.jwk.json"), "Ed25519", "answers-1"),
    checkpoint: await keptKey(secret("checkpoint.jwk.json"), "Ed25519", "checkpoint-1"),
    witness: await keptKey(secret("witness.jwk.json"), "Ed25519", "witness-1"),
    auditors: await Promise.all(auditors),
    paging: keptSecret(secret("paging")),
    dpopNonce: keptSecret(secret("dpop-nonce")),
    opsNonce: keptSecret(secret("ops-nonce")),
    consoleSession: keptSecret(secret("console-session")),
    accounting: keptSecret(secret("accounting")),
    subject: keptSecret(secret("subject")),
    consent: keptSecret(secret("consent")),
  };
}

/** In production the binding of an mTLS certificate; here a service that shows the certificate to one host. */
function certifiedServices(certified: RegistryFile["certified"], ca: string): Place["serviceBindings"] {
  const authority = readFileSync(ca, "utf8");
  return Object.fromEntries(
    Object.entries(certified).map(([name, { host, pem }]) => {
      const [key = ""] =
        /-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?-----END [A-Z ]*PRIVATE KEY-----/u.exec(pem) ?? [];
      const keypair = { privateKey: key, certificateChain: pem.replace(key, "").trim() };
      const tlsOptions = { keypair, trustedCertificates: [authority], trustBrowserCas: true };
      const certificateHost = new URL(`https://${host}`).hostname;
      return [name, { external: { address: host, https: { tlsOptions, certificateHost } } }];
    }),
  );
}

interface Place {
  readonly gateway: string;
  /** The operators' API. */
  readonly ops: string;
  readonly originHosts: readonly string[];
  readonly identityHosts: readonly string[];
  readonly secretHosts: readonly string[];
  /** The second name, or "". */
  readonly mtls: string;
  /** The certificates that the gateway shows to origins. */
  readonly serviceBindings: NonNullable<WorkerSettings["serviceBindings"]>;
  /** The secrets that the registry file names. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly witnessPort: number;
  readonly ledgerPort: number;
  readonly issuerPort: number;
  readonly settleSeconds: number | undefined;
  readonly twoPersons: boolean;
}

/** Each worker's variables and secrets. */
function settings(
  {
    gateway,
    ops,
    mtls,
    originHosts,
    identityHosts,
    secretHosts,
    secrets,
    serviceBindings,
    witnessPort,
    ledgerPort,
    issuerPort,
    settleSeconds,
    twoPersons,
  }: Place,
  keys: Awaited<ReturnType<typeof keysOf>>,
) {
  const shards = { LEDGER_SHARDS: String(ledgerShards) };
  const places = {
    ORIGIN_HOSTS: originHosts.join(" "),
    IDENTITY_HOSTS: identityHosts.join(" "),
    SECRET_HOSTS: secretHosts.join(" "),
  };
  const witnesses = [{ url: `http://127.0.0.1:${witnessPort}`, key: witnessKey(witnessName, keys.witness) }];
  return {
    gateway: {
      vars: {
        PUBLIC_URL: gateway,
        MTLS_URL: mtls,
        ...shards,
        ...places,
        ACCOUNTING: JSON.stringify({
          ...accountingFacts,
          ledger: {
            url: `http://127.0.0.1:${ledgerPort}`,
            key: rootKey({ ledgerName, checkpointKey: keys.checkpoint }),
          },
        }),
      },
      serviceBindings,
      secrets: {
        ...secrets,
        TOKEN_SIGNING_KEY: JSON.stringify(keys.token),
        RESPONSE_SIGNING_KEY: JSON.stringify(keys.answers),
        PAGING_KEY: keys.paging,
        DPOP_NONCE_KEY: keys.dpopNonce,
      },
    },
    control: {
      vars: {
        PUBLIC_URL: gateway,
        ...places,
        APPROVALS: twoPersons ? "two-persons" : "one-person",
        SEEDING: "allowed",
      },
      secrets: { CONSENT_KEY: keys.consent },
    },
    ledger: {
      port: ledgerPort,
      vars: {
        LEDGER_NAME: ledgerName,
        ...shards,
        ...(settleSeconds !== undefined && { LEDGER_SETTLE_SECONDS: String(settleSeconds) }),
        AUDITOR_KEYS: JSON.stringify({ keys: keys.auditors.map(({ jwk }) => publicHalf(jwk)) }),
        WITNESSES: JSON.stringify(witnesses),
      },
      secrets: {
        CHECKPOINT_KEY: JSON.stringify(keys.checkpoint),
        ACCOUNTING_KEY: keys.accounting,
        SUBJECT_KEY: keys.subject,
      },
    },
    ops: {
      vars: {
        OPS_URL: ops,
        IDENTITY_HOSTS: identityHosts.join(" "),
        APPROVALS: twoPersons ? "two-persons" : "one-person",
        ...shards,
        CONSOLE: JSON.stringify({
          clientId: consoleClient,
          ledger: `http://127.0.0.1:${ledgerPort}`,
          rootKey: rootKey({ ledgerName, checkpointKey: keys.checkpoint }),
          witnesses: [witnessKey(witnessName, keys.witness)],
          gateway,
          patients: {
            fhir: `${gateway}/v1/fhir/${originName}`,
            issuer: `https://localhost:${issuerPort}`,
            clientId: privacyDeskClient,
          },
        }),
      },
      secrets: { DPOP_NONCE_KEY: keys.opsNonce, CONSOLE_SESSION_KEY: keys.consoleSession },
    },
    witness: {
      port: witnessPort,
      vars: {
        WITNESS_NAME: witnessName,
        WITNESSED_LOGS: JSON.stringify([rootKey({ ledgerName, checkpointKey: keys.checkpoint })]),
      },
      secrets: { WITNESS_KEY: JSON.stringify(keys.witness) },
    },
  };
}

async function addFile(
  runtime: Runtime,
  { path, document, missing }: RegistryFile,
  say: (line: string) => void,
): Promise<void> {
  const added = await runtime.addRegistry(document);
  if (!added.ok)
    throw new StartRefusal(
      `${path}: ${added.error.pointer === "" ? '""' : added.error.pointer} ${added.error.problem}`,
    ); // RFC 6901 §5: "" is the whole file
  say(`registry: ${path}: ${added.value.counts.added} added, ${added.value.counts.changed} changed`);
  for (const name of missing)
    say(`registry: ${name} is not in the environment: its server cannot be called. Set it and start again`);
}
