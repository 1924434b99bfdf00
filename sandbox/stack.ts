import { join } from "node:path";
import { originProblems } from "#platform/origins/origin-state";
import { ensureAuthority, ensureServerCertificate, issueClientCertificate } from "./certificates.ts";
import { claim } from "./claim.ts";
import { demo } from "./demo/demo.ts";
import { DemonstrationSeed } from "./demo/seed.ts";
import { keepDevFile, rootKey, witnessKey } from "./dev-json.ts";
import { openFhirServer } from "./fhir-server/fhir-server.ts";
import { startFront } from "./front/front.ts";
import { consentPageClient } from "./identity-provider/consent/consent-filer.ts";
import { consentPageEntry } from "./identity-provider/consent/consent-page-entry.ts";
import { operatorsClient } from "./identity-provider/operators.ts";
import { privacyDeskEntry } from "./identity-provider/privacy-desk-entry.ts";
import { startIdentityProvider } from "./identity-provider/start.ts";
import { holdKeptPort, holdPort } from "./kept-port.ts";
import { sandboxOperators, type DemoOperator } from "./operators.ts";
import { probeOwnServer } from "./probe-own-server.ts";
import { readRegistryFile, type RegistryFile } from "./registry-file.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { openTraceFile } from "./trace-file.ts";
import type { WorkerBundles } from "./runtime/worker-bundles.ts";
import { runtimeThatTrusts } from "./runtime/trusting-runtime.ts";
import { StartRefusal } from "./start-refusal.ts";
import {
  certifiedServices,
  keysOf,
  ledgerName,
  ledgerShards,
  sandboxOriginName,
  witnessName,
  workerSettings,
} from "./worker-settings.ts";

export interface StackOptions {
  readonly port: number;
  readonly state: string;
  readonly bundles: string | undefined;
  /** Base of an existing FHIR server, without a trailing slash; `bundles` have no effect then. */
  readonly origin?: string | undefined;
  /** The variable of the environment with the bearer token of `origin`. */
  readonly bearerFrom?: string | undefined;
  /** A registry file to merge after the demonstration's. */
  readonly registry?: string | undefined;
  /** An act that opens access needs the approval of a second person. */
  readonly twoPersons?: boolean;
  /** The file that gets the trace of each request. */
  readonly trace?: string | undefined;
  /** Deletes the state first. */
  readonly reset?: boolean;
  /**
   * Called when workerd ends by itself: no part of the stack answers any more, and the caller must close it.
   */
  readonly onCrash?: () => void;
  readonly say: (line: string) => void;
  readonly inspectStorage?: boolean;
  /** Opens the debugger's port of the runtime. */
  readonly isInspected?: boolean;
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

/**
 * All of Phylax on this machine: origin, workers, TLS fronts, demo clients. Writes `<state>/dev.json` when
 * every worker is up. Throws a StartRefusal for a registry file that cannot be used.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { port, state, say, reset = false, bearerFrom } = options;
  // before any state is deleted
  const bearer = process.env[bearerFrom ?? ""] ?? "";
  if (bearerFrom !== undefined && bearer === "")
    throw new StartRefusal(`--bearer-from: ${bearerFrom} is not in the environment`);
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
    const fhir = `${gateway}/v1/fhir/${sandboxOriginName}`;
    const pki = join(state, "pki");
    const { serverCa, clientCa } = await ensureAuthority(pki);

    const keys = await keysOf(state);
    const held = [port];
    const hold = async (name: string) => {
      const holder = await holdKeptPort(join(state, `${name}.port`), held);
      closers.push(() => holder.release());
      held.push(holder.port);
      return holder;
    };
    const originPort = await hold("origin");
    await originPort.release();
    const origin = await openFhirServer({ ...options, bearer, port: originPort.port });
    closers.push(() => origin.close());
    say(`origin: ${origin.describe} at ${origin.url}`);
    // An operator's own entry says what the server can do.
    const isEntered = file?.origins.includes(sandboxOriginName) === true;
    const probed = async () =>
      isEntered ? {} : await probeOwnServer({ url: origin.url, bearerFrom }, state, say);
    const traits =
      options.origin === undefined
        ? { transactions: "atomic", honoursIfMatchOnDelete: true }
        : await probed();

    const traces = options.trace === undefined ? undefined : await openTraceFile(options.trace);
    if (traces !== undefined) closers.push(() => traces.close());
    const opsPort = await hold("ops");
    const ops = `https://localhost:${opsPort.port}`;
    const witnessPort = await hold("witness");
    const ledgerPort = await hold("ledger");
    const issuerPort = await hold("identity-provider");
    const { startRuntime, authorities } = await runtimeThatTrusts(serverCa.cert, join(pki, "trusted.pem"));
    await witnessPort.release();
    await ledgerPort.release();
    const runtime = await startRuntime(join(state, "workers"), {
      bundles: options.workers,
      authorities,
      inspectStorage: options.inspectStorage ?? false,
      isInspected: options.isInspected ?? false,
      gatewaysElsewhere: options.gatewaysElsewhere ?? 0,
      onCrash: options.onCrash ?? (() => say("the Workers runtime died")),
      ...workerSettings(
        {
          gateway,
          ops,
          originHosts: [new URL(origin.url).host, ...(file?.hosts ?? [])],
          identityHosts: ["localhost", ...(file?.identityHosts ?? [])],
          secretHosts: [
            ...(bearerFrom === undefined ? [] : [`${bearerFrom}@${new URL(origin.url).host}`]),
            ...(file?.secretHosts ?? []),
          ],
          mtls: options.secondHost === true ? `https://127.0.0.1:${port}` : "",
          secrets: { ...file?.secrets, ...(bearerFrom !== undefined && { [bearerFrom]: bearer }) },
          serviceBindings: certifiedServices(file?.certified ?? {}, serverCa.cert),
          witnessPort: witnessPort.port,
          ledgerPort: ledgerPort.port,
          issuerPort: issuerPort.port,
          settleSeconds: options.settleSeconds,
          twoPersons: options.twoPersons ?? false,
          traces: traces === undefined ? "" : `${traces.url} 1`,
        },
        keys,
      ),
    });
    closers.push(() => runtime.close());

    const server = await ensureServerCertificate(pki);
    const { patient, patients, practitioner } = origin;
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
      practitioner,
      clients: ["patient-web", "single-page-app"],
      unboundClients: ["smart-app"],
      secretClients: ["confidential-app"],
      registered: (iss, id) => runtime.keyedClient(iss, id),
      operators: { audience: ops, logins: [officerLogin, approverLogin] },
      say,
    });
    closers.push(() => provider.close());
    const { issuer } = provider;
    const { registry, clients } = await demo({
      state,
      pki,
      origin: {
        name: sandboxOriginName,
        url: origin.url,
        traits,
        bearerFrom,
      },
      gateway,
      audience: fhir,
      patient,
      issuer,
    });
    const seed = await DemonstrationSeed.open(join(state, "demonstration.json"), runtime, say);
    await seed.addEntries(registry);
    await seed.addEntries(privacyDeskEntry(sandboxOriginName, issuer.iss, ops));
    await seed.addEntries(consentPageEntry(sandboxOriginName, issuer.iss, consentPage));
    const { machine, people } = await sandboxOperators(pki, issuer.iss, [officerLogin, approverLogin]);
    for (const { entry } of [machine, ...people]) await seed.addOperator(entry);
    if (file !== undefined) await addFile(runtime, file, say);

    const tls = { server, clientCa: clientCa.cert };
    await gatewayPort.release();
    const front = await startFront({ port, ...tls, target: runtime.gateway });
    closers.push(() => front.close());
    if (options.origin !== undefined || file !== undefined) {
      const readiness = await fetch(`http://${runtime.gateway.host}:${runtime.gateway.port}/readyz`);
      const names = [sandboxOriginName, ...(file?.origins ?? [])];
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
      clinicians: provider.clinicians,
      apps: provider.secretClients,
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

/** The logins of the operators at the sandbox's provider. */
const officerLogin = "officer-1";
const approverLogin = "officer-2";

const devOperator = ({ entry: { id, roles }, cert, key }: DemoOperator) => ({ id, roles, cert, key });

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
