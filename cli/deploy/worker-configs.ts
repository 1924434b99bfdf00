import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { workerConfigs } from "../keys/made-keys.ts";
import type { Environment } from "./environment.ts";

/** The workers of a deployment, in the order in which they are deployed: bindings run one way. */
export const deployedWorkers = ["control", "ledger", "guards", "jobs", "gateway", "ops"] as const;
export type DeployedWorker = (typeof deployedWorkers)[number];

/** A configuration of a worker, as wrangler reads it from TOML or JSON. */
export interface RawConfig {
  readonly name: string;
  readonly main: string;
  readonly minify?: boolean;
  readonly no_bundle?: boolean;
  readonly find_additional_modules?: boolean;
  readonly build?: { readonly command: string };
  readonly vars?: Readonly<Record<string, unknown>>;
  readonly routes?: readonly { readonly pattern: string; readonly custom_domain: boolean }[];
  readonly services?: readonly { readonly service: string }[];
  readonly durable_objects?: { readonly bindings: readonly { readonly script_name?: string }[] };
  readonly d1_databases?: readonly object[];
  readonly r2_buckets?: readonly object[];
  readonly ratelimits?: readonly { readonly namespace_id: string }[];
  readonly workers_dev?: boolean;
  readonly preview_urls?: boolean;
  readonly observability?: unknown;
  readonly env?: Readonly<Record<string, { readonly observability?: unknown }>>;
}

/** The configurations of an environment: file name to content. */
export async function configsOf(
  deployment: Environment,
  repository: string,
  folder: string,
): Promise<ReadonlyMap<DeployedWorker, RawConfig>> {
  const { experimental_readRawConfig: read } = await import("wrangler");
  return new Map(
    deployedWorkers.map((worker) => {
      const file = join(repository, workerConfigs[worker]);
      const { rawConfig } = read({ config: file });
      const config = configOf(worker, rawConfig as RawConfig, deployment, dirname(file), folder); // our own file
      return [worker, { ...config, ...fileOf(worker, repository, folder) }];
    }),
  );
}

/** wrangler runs the command in the folder in which it was started, and uploads the file as it is (ADR 100). */
const fileOf = (worker: DeployedWorker, repository: string, folder: string) => ({
  main: relative(folder, join(repository, "dist", worker, "index.js")).replaceAll("\\", "/"),
  build: { command: `node scripts/with-node.mjs scripts/bundle-worker.ts ${worker}` },
  minify: false,
  no_bundle: true,
  find_additional_modules: false,
});

function configOf(
  worker: DeployedWorker,
  base: RawConfig,
  deployment: Environment,
  from: string,
  folder: string,
): RawConfig {
  const named = (name: string) => `${name}-${deployment.environment}`;
  const {
    services,
    durable_objects: objects,
    d1_databases: databases,
    r2_buckets: buckets,
    ratelimits,
  } = base;
  const hosts = hostsOf(worker, deployment);
  const database = {
    database_name: deployment.database.name,
    database_id: deployment.database.id,
    migrations_dir: relative(
      folder,
      join(from, from.includes("workers") ? "../../migrations" : "migrations"),
    ),
  };
  // R2 has a jurisdiction of its own; `fedramp-high` belongs to Durable Objects alone
  const jurisdiction = deployment.jurisdiction.replace("-high", "");
  const bucket = { bucket_name: deployment.bucket, ...(jurisdiction !== "" && { jurisdiction }) };
  return {
    ...base,
    name: named(base.name),
    vars: { ...base.vars, ...variablesOf(worker, deployment) },
    ...((worker === "gateway" || worker === "jobs") && bindingsOf(deployment)),
    ...(hosts.length > 0 && { routes: hosts.map((pattern) => ({ pattern, custom_domain: true })) }),
    ...(services && { services: services.map((each) => changed(each, { service: named(each.service) })) }),
    ...(objects && {
      durable_objects: {
        bindings: objects.bindings.map((each) =>
          changed(each, each.script_name === undefined ? {} : { script_name: named(each.script_name) }),
        ),
      },
    }),
    ...(databases && { d1_databases: databases.map((each) => changed(each, database)) }),
    ...(buckets && { r2_buckets: buckets.map((each) => changed(each, bucket)) }),
    ...(ratelimits && {
      ratelimits: ratelimits.map((each) =>
        changed(each, {
          namespace_id: String(deployment.rateLimitNamespaces + (Number(each.namespace_id) % 100)),
        }),
      ),
    }),
  };
}

const changed = <T extends object, U extends object>(entry: T, members: U): T & U => ({
  ...entry,
  ...members,
});

/** The bindings to origins, where there are any. */
const bindingsOf = ({ vpcServices, mtlsCertificates }: Environment): object => ({
  ...(vpcServices.length > 0 && { vpc_services: vpcServices }),
  ...(mtlsCertificates.length > 0 && { mtls_certificates: mtlsCertificates }),
});

/** The host names of a worker: custom domains. `control`, `guards` and `jobs` have none. */
function hostsOf(worker: DeployedWorker, deployment: Environment): readonly string[] {
  const urls: readonly (string | undefined)[] = {
    control: [],
    ledger: [deployment.ledgerUrl],
    guards: [],
    jobs: [],
    gateway: [deployment.publicUrl, deployment.mtlsUrl],
    ops: [deployment.opsUrl],
  }[worker];
  return urls.filter((url) => url !== undefined).map((url) => new URL(url).hostname);
}

function variablesOf(worker: DeployedWorker, deployment: Environment): Record<string, unknown> {
  const placement = {
    LEDGER_SHARDS: String(deployment.shards),
    LEDGER_REGIONS: deployment.regions,
    LEDGER_JURISDICTION: deployment.jurisdiction,
  };
  const places = {
    PUBLIC_URL: deployment.publicUrl,
    ORIGIN_HOSTS: deployment.originHosts.join(" "),
    IDENTITY_HOSTS: deployment.identityHosts.join(" "),
    SECRET_HOSTS: deployment.secretHosts.join(" "),
  };
  const text = (value: unknown) => (value === undefined ? "" : JSON.stringify(value));
  switch (worker) {
    case "control":
      return { ...places, LEDGER_REGIONS: deployment.regions, APPROVALS: deployment.approvals };
    case "ledger":
      return {
        ...placement,
        LEDGER_NAME: deployment.ledgerName,
        AUDITOR_KEYS: { keys: deployment.auditors },
        WITNESSES: deployment.witnesses,
      };
    case "guards":
      return {};
    case "jobs":
      return {
        ...places,
        ...placement,
        MTLS_URL: deployment.mtlsUrl ?? "",
        LEDGER_SPREAD: String(deployment.spread),
        TOKEN_VERIFICATION_KEYS: text(deployment.tokenVerificationKeys),
      };
    case "gateway":
      return {
        ...places,
        ...placement,
        MTLS_URL: deployment.mtlsUrl ?? "",
        LEDGER_SPREAD: String(deployment.spread),
        ACCOUNTING: text(deployment.accounting),
        TRACES: tracesOf(deployment.traces),
        TOKEN_VERIFICATION_KEYS: text(deployment.tokenVerificationKeys),
        RESPONSE_VERIFICATION_KEYS: text(deployment.responseVerificationKeys),
      };
    case "ops":
      return {
        ...placement,
        OPS_URL: deployment.opsUrl,
        IDENTITY_HOSTS: deployment.identityHosts.join(" "),
        APPROVALS: deployment.approvals,
        CONSOLE: text(deployment.console),
        ALERT_WEBHOOK: deployment.alertWebhook ?? "",
      };
  }
}

const tracesOf = (traces: Environment["traces"]): string =>
  traces === undefined ? "" : [traces.collector, traces.share, traces.secret ?? []].flat().join(" ");

/** The file of a worker's configuration in the folder of an environment. */
export const configFile = (folder: string, worker: DeployedWorker): string => join(folder, `${worker}.json`);

/** The written configurations, by worker; undefined for a missing file. */
export const writtenConfigs = (folder: string): ReadonlyMap<DeployedWorker, RawConfig | undefined> =>
  new Map(
    deployedWorkers.map((worker): [DeployedWorker, RawConfig | undefined] => {
      const file = configFile(folder, worker);
      if (!existsSync(file)) return [worker, undefined];
      const config: RawConfig = JSON.parse(readFileSync(file, "utf8"));
      return [worker, config];
    }),
  );
