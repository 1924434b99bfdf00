import { AlertBook } from "#platform/alerts/object/alert-book";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Resource } from "@medplum/fhirtypes";
import type { MergeMode } from "#registry/merge";
import { instant } from "#kernel/clock";
import { shardTables } from "#platform/ledger/object/log/store";
import { openLogs } from "#ledger/log-name";
import type { ConsentsOnFile } from "#platform/consents/consent-desk";
import type { AuditRecord } from "#audit/record";
import { accessToken, type AccessTokenRequest } from "../../../cli/connection/access-token.ts";
import { clientOf, type DevClient, type DevFile } from "../../../cli/connection/dev-file.ts";
import { demo } from "../../../sandbox/demo/demo.ts";
import { rootKey, verifierKeys } from "../../../sandbox/dev-json.ts";
import { sandboxIssuer } from "../../../sandbox/demo/issuer.ts";
import { publicHalf } from "../../../sandbox/keys.ts";
import { sandboxOperators, type DemoOperator } from "../../../sandbox/operators.ts";
import { loadFolder } from "../../../sandbox/fhir-server/load.ts";
import { openFhirServer } from "../../../sandbox/fhir-server/fhir-server.ts";
import { memoryOrigin, type MemoryOrigin } from "../../../sandbox/origin/memory-origin.ts";
import { readRegistryFile } from "../../../sandbox/registry-file.ts";
import { syntheticResources } from "../../../sandbox/synthetic/generate.ts";
import * as control from "../../../workers/control/index.ts";
import * as guardsWorker from "../../../workers/guards/index.ts";
import type * as jobsWorker from "../../../workers/jobs/index.ts";
import type * as ledgerWorker from "../../../workers/ledger/index.ts";
import { openLedger } from "../auditor.ts";
import { mentionsOf } from "../hidden-origin.ts";
import { SecretWatch } from "../secret-watch.ts";
import { workDone, waitUntil } from "./cloudflare-workers.ts";
import { doorKeys, type DoorKeys } from "./door-keys.ts";
import { called, ObjectNamespace, stubOf, type Alarms } from "./durable-objects.ts";
import { MemoryBucket } from "./memory-bucket.ts";
import { onExchange, send, type Reply, type Sending } from "./mutual-tls.ts";
import { handlerOf } from "./memory-handler.ts";
import { among, serveAt, type Handler } from "./network.ts";
import { LedgerReader, type PublicLeaf } from "../ledger-reader.ts";
import { direct, type Remote, remoteNamespace, remoteStub } from "./remote.ts";
import { rateLimit } from "./rate-limit.ts";
import { SqliteD1 } from "./sqlite-d1.ts";
import { workerRateLimits, workerVariables } from "./worker-variables.ts";

export interface DoorOptions {
  /** A folder of FHIR bundles in place of the synthetic patients. */
  readonly bundles?: string;
  /** Resources in place of the synthetic patients. */
  readonly resources?: Iterable<{ readonly resourceType: string }>;
  /** FHIR base of a running server: a server on a socket, or a host that `serveAt` answers for. */
  readonly origin?: string;
  /** `host:port` of further servers that the gateway may ask. */
  readonly originHosts?: readonly string[];
  /** A registry file to merge after the demonstration's. */
  readonly registry?: string;
  /**
   * Names that further doors of this process share. The door is then found through its own methods and
   * `within` alone.
   */
  readonly hosts?: Hosts;
  /** Called with each request to the origin's host, in place of the sandbox's FHIR server. */
  readonly answer?: Handler;
  /** `timer` by default. A test that sets the clock rings the alarms itself, with `ringAlarms`. */
  readonly alarms?: Alarms;
  /** Texts of the gateway's variables and secrets, in addition to the texts of a development stack. */
  readonly gateway?: Readonly<Record<string, string>>;
  /** LEDGER_REGIONS of all workers: regions for four shards. */
  readonly regions?: string;
  /** Stands between the gateway and every part that is not in its isolate. */
  readonly remote?: Remote;
}

export interface Hosts {
  readonly gateway: string;
  readonly ops: string;
  readonly origin: string;
  readonly ledger: string;
}

/**
 * A whole Phylax in this process, without sockets and workerd: the real gateway, control and ledger workers
 * over SQLite in memory, in front of the sandbox's origin. Its interface is the interface of
 * test/support/stack.ts.
 */
export interface Door {
  readonly dev: DevFile;
  /** A folder in which `phylax` finds this door: it contains `.phylax/dev.json`. */
  readonly home: string;
  /** Every request that reached the sandbox's FHIR server: `GET /fhir/Patient/x`. */
  readonly forwarded: string[];
  /** The sandbox's FHIR server, unless `origin` named another server. */
  readonly origin: MemoryOrigin;
  client(id: string): DevClient;
  token(id: string, request?: AccessTokenRequest): Promise<string>;
  /** Asks as a client with its own certificate and its own token. A path is relative to the FHIR base. */
  ask(id: string, path: string, sending?: Sending): Promise<Reply>;
  /** Asks the gateway, with the caller's facts from `requestOf`. */
  fetch(request: Request): Promise<Response>;
  /**
   * A further isolate of the gateway, as in another city: it shares no memory with the first. `variables`: as in
   * another deployment.
   */
  elsewhere(variables?: Readonly<Record<string, string>>): Promise<(request: Request) => Promise<Response>>;
  /** The location hint of the first call of each Durable Object, by its class and name. */
  hints(): ReadonlyMap<string, string | undefined>;
  /** Runs a function in which `fetch` and `send` find this door's hosts. */
  within<T>(act: () => T): T;
  /**
   * Writes a registry document in place of the entries that it names. Throws with a JSON pointer when it
   * does not fit.
   */
  applyRegistry(document: unknown): Promise<void>;
  /** Merges a registry file: the whole file, or nothing and the reasons against it. */
  addRegistry(document: unknown): ReturnType<control.RegistryDesk["apply"]>;
  /** The active Consents that `control` has for each patient of the origin `main`. */
  consentsOf(patients: readonly string[]): Promise<readonly ConsentsOnFile[]>;
  /** Runs SQL inside every shard of the ledger, or some, also inside a shard that no request has met yet. */
  inEachShard(sql: string, isMeant?: (log: string) => boolean): void;
  /** The storage of a log is lost: its next call starts an object without rows. */
  loseLog(log: string): void;
  /** All that the objects of idempotency keys have in their storage, as JSON. */
  keyRows(): string;
  /**
   * The registry's copy that is near the gateway: from now on it gets no further write, until it catches up.
   */
  readonly nearCopy: Pick<SqliteD1, "leaveCopyBehind" | "catchCopyUp">;
  /** Rings the alarms of all Durable Objects whose time has come. Answers how many rang. */
  ringAlarms(): Promise<number>;
  /** Every record of every log, opened by an auditor. */
  records(): Promise<readonly AuditRecord[]>;
  /** The public part of every leaf of every log. */
  leaves(): Promise<readonly PublicLeaf[]>;
  /** Throws when any answer named the origin, or when a secret was printed or stood in an error. */
  close(): Promise<void>;
}

interface WorkerModule {
  readonly default: { fetch(request: Request, env: object, context: object): Response | Promise<Response> };
}

const ledgerName = "ledger.phylax.example";
const ledgerShards = 4;
const version = { id: "in-process", tag: "", timestamp: "" };
let doors = 0;

/** Opens a door for one test file. */
export async function startDoor(options: DoorOptions = {}): Promise<Door> {
  const number = ++doors;
  const keys = await doorKeys();
  const secrets = new SecretWatch(keys.state); // before anything can print
  // Loopback ports below 1024: no server of a test listens there.
  const hosts = options.hosts ?? {
    gateway: `door-${number}.phylax.example`,
    ops: `ops-${number}.phylax.example`,
    // Ports that no test's ledger reaches as a place: a receipt `l-2:101` would read as an address with port 101.
    origin: `127.0.0.1:${40_100 + number}`,
    ledger: `127.0.0.1:${40_500 + number}`,
  };
  const gateway = `https://${hosts.gateway}`;
  const closers: (() => unknown)[] = [];

  const forwarded: string[] = [];
  const there =
    options.origin === undefined
      ? undefined
      : await openFhirServer({ bundles: undefined, origin: options.origin });
  const url = there?.url ?? `http://${hosts.origin}/fhir`;
  const origin = memoryOrigin(`http://${hosts.origin}/fhir`, {
    onRequest: ({ method, path }) => forwarded.push(`${method} ${path}`),
  });
  const resources = there === undefined ? await resourcesOf(options) : [];
  origin.load(resources);

  const file = options.registry === undefined ? undefined : readRegistryFile(options.registry, process.env);
  const { remote = direct } = options;
  const workers = await startWorkers(number, keys, `https://${hosts.ops}`, options, {
    PUBLIC_URL: gateway,
    ORIGIN_HOSTS: [new URL(url).host, ...(options.originHosts ?? []), ...(file?.hosts ?? [])].join(" "),
    IDENTITY_HOSTS: ["localhost", ...(file?.identityHosts ?? [])].join(" "),
    ACCOUNTING: JSON.stringify(accountingFacts),
    ...file?.secrets,
    ...options.gateway,
  });
  closers.push(() => workers.close());
  const places = new Map<string, Handler>([
    [hosts.gateway, workers.gateway],
    [hosts.ops, workers.ops],
    [hosts.origin, remoteHandler(options.answer ?? handlerOf(origin), remote)],
    [hosts.ledger, workers.ledger],
  ]);
  if (options.hosts === undefined) for (const [host, handler] of places) closers.push(serveAt(host, handler));
  const within = <T>(act: () => T): T => among(places, act);

  const patients = [...resources].flatMap(({ resourceType, id }) =>
    resourceType === "Patient" && id !== undefined ? [id] : [],
  );
  const audience = `${gateway}/v1/fhir/main`;
  const issuer = await sandboxIssuer(keys.state, "https://sign-in.phylax.example", audience);
  const patient = there?.patient ?? (patients.includes("amara-okafor") ? "amara-okafor" : patients[0]);
  const { registry, clients } = await demo({
    ...keys,
    origin: {
      name: "main",
      url,
      traits: options.origin === undefined ? { transactions: "atomic", honoursIfMatchOnDelete: true } : {},
      bearerFrom: undefined,
    },
    gateway,
    audience,
    patient,
    issuer,
  });
  await workers.apply(registry, "replace");
  const { machine, people } = await sandboxOperators(keys.pki, issuer.iss, ["officer-1", "officer-2"]);
  for (const { entry } of [machine, ...people]) await workers.admit(entry);
  if (file !== undefined) await workers.apply(file.document, "add");

  const logs = verifierKeys(
    { ledgerName, shards: ledgerShards, checkpointKey: keys.checkpoint },
    openLogs(ledgerShards, instant(Date.now())),
  );
  const dev = {
    gateway,
    fhir: audience,
    audience,
    tokenEndpoint: `${gateway}/oauth/token`,
    ledger: `http://${hosts.ledger}`,
    ops: `https://${hosts.ops}`,
    console: `https://${hosts.ops}/console`,
    origin: url,
    ca: keys.ca,
    clientCa: keys.clientCa,
    ledgerName,
    logs,
    root: rootKey({ ledgerName, checkpointKey: keys.checkpoint }),
    witnesses: {},
    pid: process.pid,
    issuers: [
      { iss: issuer.iss, jwk: issuer.jwk, kid: issuer.kid, alg: issuer.alg, audience: issuer.audience },
    ],
    auditors: keys.auditors.map(({ path }) => ({ key: path })),
    users: [], // there is no identity provider here
    clinicians: [],
    apps: [],
    operators: [devOperator(machine)],
    officers: [],
    clients: clients as unknown as readonly DevClient[], // as `demo` makes them
  } satisfies DevFile;

  const home = join(keys.state, `door-${number}`);
  mkdirSync(join(home, ".phylax"), { recursive: true });
  writeFileSync(join(home, ".phylax", "dev.json"), JSON.stringify(dev));

  const naming = new Set<string>();
  closers.push(
    onExchange(({ method, url: asked, headers: sentHeaders }, sent, { status, headers, text }) => {
      if (new URL(asked).origin !== gateway) return;
      secrets.exchange(`${method} ${asked.split("?")[0]}`, sentHeaders, sent, status, text);
      const [found] = mentionsOf(url, `${status} ${JSON.stringify(headers)}\n${text}`);
      if (found !== undefined) naming.add(`${method} ${asked}: ${found}`);
    }),
  );
  const tokens = new Map<string, Promise<string>>();
  const client = (id: string) => clientOf(dev, id);
  const token = (id: string, request: AccessTokenRequest = {}) =>
    within(() => accessToken(dev, client(id), request));
  return {
    dev,
    home,
    forwarded,
    origin,
    client,
    token,
    async ask(id, path, sending = {}) {
      const kept = tokens.get(id) ?? token(id);
      tokens.set(id, kept);
      const headers = { authorization: `Bearer ${await kept}`, ...sending.headers };
      const url = path.startsWith("https:") ? path : `${dev.fhir}/${path}`;
      return within(() => send(dev, client(id), url, { ...sending, headers }));
    },
    fetch: async (request) => workers.gateway(request),
    elsewhere: (variables) => workers.elsewhere(variables),
    hints: () => workers.hints(),
    within,
    applyRegistry: (document) => workers.apply(document, "replace"),
    addRegistry: (document) => workers.add(document),
    consentsOf: (patients) => workers.consentsOf(patients),
    inEachShard: (sql, isMeant) => workers.inEachShard(sql, isMeant),
    loseLog: (log) => workers.loseLog(log),
    keyRows: () => workers.keyRows(),
    nearCopy: workers.nearCopy,
    ringAlarms: () => within(() => workers.ringAlarms()),
    records: () => within(() => openLedger(dev)),
    leaves: async () => (await within(() => new LedgerReader(dev).read())).leaves,
    async close() {
      await workDone();
      for (const end of closers.reverse()) await end();
      secrets.end();
      if (naming.size > 0) throw new Error(`${url} stands in the answers to: ${[...naming].join("; ")}`);
    },
  };
}

const accountingFacts = {
  recipients: {
    "public-health": { name: "State Department of Health", address: "1 Health Plaza, Springfield" },
    research: { name: "Northern University", address: "2 Campus Road, Springfield" },
  },
  agreements: { "research-agreement": "viii" },
};

const devOperator = ({ entry: { id, roles }, cert, key }: DemoOperator) => ({ id, roles, cert, key });

let synthetic: readonly Resource[] | undefined;

async function resourcesOf({ bundles, resources }: DoorOptions): Promise<readonly Resource[]> {
  if (resources !== undefined) return [...resources] as Resource[]; // the origin loads any row
  return bundles === undefined ? (synthetic ??= syntheticResources()) : await loadFolder(bundles);
}

const remoteHandler =
  (handler: Handler, remote: Remote): Handler =>
  (request) =>
    remote("origin", async () => await handler(request));

type Env = Readonly<Record<string, unknown>>;

/** The workers and their bindings, as their wrangler configurations name them. */
async function startWorkers(
  number: number,
  keys: DoorKeys,
  opsUrl: string,
  { alarms, regions = "", remote = direct }: DoorOptions,
  variables: Readonly<Record<string, string>>,
) {
  const REGISTRY = new SqliteD1();
  const shards = { LEDGER_SHARDS: String(ledgerShards), LEDGER_REGIONS: regions };
  const namespaces: ObjectNamespace[] = [];
  const namespace = (objectClass: ConstructorParameters<typeof ObjectNamespace>[0], env: () => object) => {
    const made = new ObjectNamespace(objectClass, env, alarms);
    namespaces.push(made);
    return made;
  };
  // Each door gets its own copy of the module, as each isolate does: the module retains the configuration
  // that it opened first.
  const gateway = (await import(
    /* @vite-ignore */ `../../../workers/gateway/index.ts?door=${number}`
  )) as WorkerModule;
  const ledger = (await import(
    /* @vite-ignore */ `../../../workers/ledger/index.ts?door=${number}`
  )) as typeof ledgerWorker;
  const jobs = (await import(
    /* @vite-ignore */ `../../../workers/jobs/index.ts?door=${number}`
  )) as typeof jobsWorker;
  const service = (entry: new (context: never, env: never) => object, env: () => object) =>
    // with the bindings of the configurations below
    stubOf((method, args) => called(new entry({ waitUntil } as never, env() as never), method, args));

  const keyedRequests = namespace(control.KeyedRequests, () => controlEnv);
  const rowLeaseBooks = namespace(control.RowLeaseBook, () => controlEnv);
  const controlEnv: Env = {
    ...workerVariables("workers/control/wrangler.toml"),
    PUBLIC_URL: variables["PUBLIC_URL"],
    LEDGER_REGIONS: regions,
    APPROVALS: "one-person",
    SEEDING: "allowed",
    CONSENT_KEY: keys.consent,
    REGISTRY,
    REVOCATIONS: namespace(control.Revocations, () => controlEnv),
    KEYED_REQUESTS: keyedRequests,
    ROW_LEASES: rowLeaseBooks,
  };
  const shardObjects = namespace(ledger.LedgerShard, () => ledgerEnv);
  const ledgerEnv: Env = {
    ...workerVariables("workers/ledger/wrangler.toml"),
    LEDGER_NAME: ledgerName,
    ...shards,
    AUDITOR_KEYS: JSON.stringify({ keys: keys.auditors.map(({ jwk }) => publicHalf(jwk)) }),
    WITNESSES: "[]",
    VERSION: version,
    CHECKPOINT_KEY: JSON.stringify(keys.checkpoint),
    ACCOUNTING_KEY: keys.accounting,
    SUBJECT_KEY: keys.subject,
    LEDGER_SHARD: shardObjects,
    LEDGER_ROOT: namespace(ledger.LedgerRoot, () => ledgerEnv),
    ACCOUNTING_SHELF: namespace(ledger.AccountingShelf, () => ledgerEnv),
    ACCOUNTING_INTAKE: namespace(ledger.AccountingIntake, () => ledgerEnv),
    TRAFFIC_BOOK: namespace(ledger.TrafficBook, () => ledgerEnv),
    LEDGER_BUCKET: remoteStub(new MemoryBucket(), "bucket", remote),
    ...rateLimitsOf("workers/ledger/wrangler.toml"),
  };
  const elementCounts = namespace(ledger.ElementCounts, () => ledgerEnv);
  const guardsEnv: Env = {
    ...workerVariables("workers/guards/wrangler.toml"),
    REVOCATION_FEED: remoteStub(
      service(control.RevocationFeed, () => controlEnv),
      "revocations",
      remote,
    ),
  };
  const guards = namespace(guardsWorker.ClientGuard, () => guardsEnv);
  /** The bindings of the core, in each worker that bundles it. */
  const coreBindings: Env = {
    REGISTRY: REGISTRY.through(remote),
    CONSENT_DESK: remoteStub(
      service(control.ConsentDesk, () => controlEnv),
      "consents",
      remote,
    ),
    // It runs beside the gateway and reads the registry.
    POLICY_READING: remoteStub(
      service(control.PolicyReading, () => controlEnv),
      "registry",
      remote,
    ),
    REVIEW_OPENING: remoteStub(
      service(control.ReviewOpening, () => controlEnv),
      "control",
      remote,
    ),
    CASE_OPENING: remoteStub(
      service(control.CaseOpening, () => controlEnv),
      "control",
      remote,
    ),
    DISCLOSURES: remoteStub(
      service(ledger.Disclosures, () => ledgerEnv),
      "accounting",
      remote,
    ),
    CLIENT_GUARD: remoteNamespace(guards, "guard", remote),
    KEYED_REQUESTS: remoteNamespace(keyedRequests, "keys", remote),
    ROW_LEASES: remoteNamespace(rowLeaseBooks, "leases", remote),
    LEDGER_SHARD: remoteNamespace(shardObjects, "ledger", remote),
    ELEMENT_COUNTS: elementCounts,
  };
  const dataSetCodes = namespace(jobs.DataSetCodes, () => jobsEnv);
  const jobsEnv: Env = {
    ...workerVariables("workers/jobs/wrangler.toml"),
    ...shards,
    ...variables,
    TOKEN_VERIFICATION_KEYS: JSON.stringify({ keys: [publicHalf(keys.token)] }),
    VERSION: version,
    PAGING_KEY: keys.paging,
    DPOP_NONCE_KEY: keys.dpopNonce,
    CODES_KEY: keys.codes,
    DEID_CHECK: "on",
    ...coreBindings,
    AUTHORITY_KEEPING: service(control.AuthorityKeeping, () => controlEnv),
    CLIENT_EXPORTS: remoteNamespace(
      namespace(jobs.ClientExports, () => jobsEnv),
      "exports",
      remote,
    ),
    EXPORT_DIRECTORY: namespace(jobs.ExportDirectory, () => jobsEnv),
    AGREEMENT_READING: service(control.AgreementReading, () => controlEnv),
    DATA_SET_CODES: dataSetCodes,
  };
  const exportDoor = () => new jobs.ExportDoor({ waitUntil } as never, jobsEnv as never); // with its bindings
  const gatewayEnv: Env = {
    ...workerVariables("wrangler.toml"),
    ...shards,
    VERSION: version,
    TOKEN_SIGNING_KEY: JSON.stringify(keys.token),
    RESPONSE_SIGNING_KEY: JSON.stringify(keys.answers),
    PAGING_KEY: keys.paging,
    DPOP_NONCE_KEY: keys.dpopNonce,
    ...variables,
    ...rateLimitsOf("wrangler.toml"),
    EXPORT_DOOR: { fetch: (request: Request) => exportDoor().fetch(request) },
    CODE_BOOK: remoteStub(
      service(jobs.CodeBook, () => jobsEnv),
      "codes",
      remote,
    ),
    OWN_TOKEN_REVOCATION: remoteStub(
      service(control.OwnTokenRevocation, () => controlEnv),
      "control",
      remote,
    ),
    ...coreBindings,
  };
  const opsEnv: Env = {
    ...workerVariables("workers/ops/wrangler.toml"),
    ...rateLimitsOf("workers/ops/wrangler.toml"),
    ...shards,
    OPS_URL: opsUrl,
    APPROVALS: "one-person",
    IDENTITY_HOSTS: variables["IDENTITY_HOSTS"],
    VERSION: version,
    DPOP_NONCE_KEY: keys.opsNonce,
    CONSOLE_SESSION_KEY: keys.consoleSession,
    REGISTRY_DESK: service(control.RegistryDesk, () => controlEnv),
    OPERATOR_ROLL: service(control.OperatorRoll, () => controlEnv),
    PROPOSAL_DESK: service(control.ProposalDesk, () => controlEnv),
    CONSOLE_DESK: service(control.ConsoleDesk, () => controlEnv),
    REVIEW_DESK: service(control.ReviewDesk, () => controlEnv),
    CASE_DESK: remoteStub(
      service(control.CaseDesk, () => controlEnv),
      "control",
      remote,
    ),
    DATA_SET_DESK: service(jobs.DataSetDesk, () => jobsEnv),
    EXPORT_DESK: service(jobs.ExportDesk, () => jobsEnv),
    CONSENT_HISTORY: service(control.ConsentHistory, () => controlEnv),
    ACCOUNTING_HOLDERS: service(ledger.AccountingHolders, () => ledgerEnv),
    ACCOUNTING_HOLDS: service(ledger.AccountingHolds, () => ledgerEnv),
    LEDGER_RECOVERY: service(ledger.LedgerRecovery, () => ledgerEnv),
    LEDGER_HEALTH: service(ledger.LedgerHealth, () => ledgerEnv),
    KEYED_REQUESTS: remoteNamespace(keyedRequests, "keys", remote),
    LEDGER_SHARD: shardObjects,
    ALERT_BOOK: namespace(AlertBook, () => opsEnv),
  };
  const desk = service(control.RegistryDesk, () => controlEnv) as Pick<control.RegistryDesk, "apply">;
  const consents = service(control.ConsentDesk, () => controlEnv) as Pick<control.ConsentDesk, "of">;
  const admission = service(control.OperatorDesk, () => controlEnv) as Pick<control.OperatorDesk, "admit">;
  let isolates = 0;
  const context = { waitUntil, passThroughOnException: () => {} };
  return {
    gateway: (request: Request) => gateway.default.fetch(request, gatewayEnv, context),
    async elsewhere(others: Readonly<Record<string, string>> = {}) {
      const further = (await import(
        /* @vite-ignore */ `../../../workers/gateway/index.ts?door=${number}-${++isolates}`
      )) as WorkerModule;
      const env = { ...gatewayEnv, ...others };
      return async (request: Request) => await further.default.fetch(request, env, context);
    },
    hints: () =>
      new Map(
        namespaces.flatMap((each) =>
          [...each.hints].map(([name, hint]) => [`${each.className} ${name}`, hint] as const),
        ),
      ),
    ops: async (request: Request) => {
      const ops = (await import(
        /* @vite-ignore */ `../../../workers/ops/index.ts?door=${number}`
      )) as WorkerModule;
      return ops.default.fetch(request, opsEnv, context);
    },
    ledger: (request: Request) => (ledger as WorkerModule).default.fetch(request, ledgerEnv, context),
    async apply(document: unknown, mode: MergeMode) {
      const applied = await desk.apply(document, mode);
      if (!applied.ok) throw new Error(`registry: ${applied.error.pointer} ${applied.error.problem}`);
    },
    add: (document: unknown) => desk.apply(document, "add"),
    consentsOf: (patients: readonly string[]) =>
      consents.of({ origin: "main", patients, bookmark: null, hasPending: true }),
    admit: (operator: Parameters<control.OperatorDesk["admit"]>[0]) => admission.admit(operator),
    keyRows: () =>
      JSON.stringify(
        [...keyedRequests.hints.keys()].map((name) =>
          keyedRequests.storageOf(name).exec("SELECT * FROM request_keys").toArray(),
        ),
      ),
    loseLog: (log: string) => shardObjects.lose(log),
    nearCopy: REGISTRY,
    inEachShard(sql: string, isMeant: (log: string) => boolean = () => true) {
      for (const log of openLogs(ledgerShards, instant(Date.now())).filter(isMeant)) {
        const storage = shardObjects.storageOf(log);
        storage.exec(shardTables);
        storage.exec(sql);
      }
    },
    async ringAlarms() {
      let rung = 0;
      for (const each of namespaces) rung += await each.ringAlarms();
      return rung;
    },
    close() {
      for (const each of namespaces) each.close();
      REGISTRY.close();
    },
  };
}

const rateLimitsOf = (config: string): Env =>
  Object.fromEntries([...workerRateLimits(config)].map(([name, limits]) => [name, rateLimit(limits)]));
