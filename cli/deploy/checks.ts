import { isDeepStrictEqual } from "node:util";
import type { HalfYearShards } from "#ledger/health";
import { keyLayout, readLayout } from "#ledger/layout";
import { type LockRule, rulesOnCheckpoints } from "#ledger/retention";
import { readKeyList } from "#kernel/key-list";
import {
  checkpointKeysIn,
  logVerifierKey,
  publicHalfOf,
  sharedWithJobs,
  workerSecrets,
  type SecretForm,
} from "../keys/made-keys.ts";
import type { Environment } from "./environment.ts";
import { deployedWorkers, type DeployedWorker, type RawConfig } from "./worker-configs.ts";

/** The facts that the checks compare. An absent fact is not checked, and the report says so. */
export interface Situation {
  readonly deployment: Environment;
  /** The configurations that the deployment's file gives, and the written configurations. */
  readonly expected: ReadonlyMap<DeployedWorker, RawConfig>;
  readonly written: ReadonlyMap<DeployedWorker, RawConfig | undefined>;
  /** The values of secrets, from the files that `keys new` wrote. */
  readonly secrets?: ReadonlyMap<DeployedWorker, Readonly<Record<string, string>>>;
  /** The names of the secrets that each worker has at Cloudflare. */
  readonly present?: ReadonlyMap<DeployedWorker, readonly string[]>;
  /** The names of the migrations in the repository, and of the applied migrations. */
  readonly migrations?: { readonly files: readonly string[]; readonly applied: readonly string[] };
  readonly locks?: readonly LockRule[];
  /** The time of the gateway minus the time of this machine, in ms. */
  readonly clockMilliseconds?: number;
  /** Faults in the answers of the host names, a sentence each. */
  readonly answering?: readonly string[];
  /** Faults of the key that signs the root log, a sentence each. */
  readonly rootKey?: readonly string[];
  /** The shards with which the ledger's half-year began, from the operators' door. */
  readonly halfYear?: HalfYearShards;
}

/** A check returns a sentence for each fault. Undefined: it did not look. */
type Check = (situation: Situation) => readonly string[] | undefined;

const LOCK_DAYS = 2_200;
const CLOCK_MILLISECONDS = 5_000;

export const checks = {
  placeholders: ({ deployment }) => placeholdersOf(deployment),
  auditors: ({ deployment: { auditors } }) => [
    ...(auditors.length < 2 ? ["auditors needs the public keys of at least two auditors"] : []),
    ...(new Set(auditors.map(({ kid }) => kid)).size < auditors.length ? ["two auditors have one kid"] : []),
    ...auditors
      .filter((key) => "d" in key)
      .map(({ kid }) => `auditor ${kid} has its private half in the file`),
  ],
  files: ({ expected, written }) =>
    [...expected].flatMap(([worker, config]) => {
      const found = written.get(worker);
      if (found === undefined) return [`${worker}.json is missing: run \`phylax deploy config\``];
      const place = differs(config, found, "");
      return place === undefined
        ? []
        : [`${worker}.json differs at ${place} from the deployment's file: run \`phylax deploy config\``];
    }),
  shards: ({ written }) =>
    (["LEDGER_SHARDS", "LEDGER_REGIONS", "LEDGER_JURISDICTION"] as const).flatMap((name) => {
      const values = (["gateway", "ledger", "ops", "jobs"] as const).map(
        (worker) => written.get(worker)?.vars?.[name],
      );
      return new Set(values).size === 1
        ? []
        : [`${name} is ${values.map(String).join(", ")} in gateway, ledger, ops and jobs: it must be equal`];
    }),
  hosts: ({ deployment, written }) => {
    const urls = [deployment.publicUrl, deployment.mtlsUrl, deployment.opsUrl, deployment.ledgerUrl];
    const names = urls.filter((url) => url !== undefined).map((url) => new URL(url).hostname);
    const routed = [...written].flatMap(([worker, config]) =>
      (config?.routes ?? []).map(({ pattern, custom_domain: own }) => ({ worker, pattern, own })),
    );
    const open = [...written].filter(
      ([, config]) => config?.workers_dev !== false || config.preview_urls !== false,
    );
    return [
      ...names
        .filter((name, i) => names.indexOf(name) < i)
        .map((name) => `two workers have the host ${name}`),
      ...names.filter((name) => name.endsWith(".workers.dev")).map((name) => `${name} has no mutual TLS`),
      ...names
        .filter((name) => !routed.some(({ pattern, own }) => own && pattern === name))
        .map((name) => `no worker has the custom domain ${name}`),
      ...routed
        .filter(({ worker, pattern }) => withoutHost.has(worker) || !names.includes(pattern))
        .map(({ worker, pattern }) => `${worker} has the unexpected route ${pattern}`),
      ...open.map(([worker]) => `${worker} is reachable on workers.dev, which goes around mutual TLS`),
    ];
  },
  logging: ({ written }) => [...written].flatMap(([worker, config]) => loggingProblems(worker, config)),
  "secret values": ({ deployment, secrets }) => {
    if (secrets === undefined) return undefined;
    const wrong = deployedWorkers.flatMap((worker) =>
      Object.entries(workerSecrets[worker]).flatMap(([name, form]) => {
        const value = secrets.get(worker)?.[name];
        if (value === undefined) return [`${worker} has no ${name}: \`phylax keys new\` makes it`];
        return isWellFormed(value, form) ? [] : [`${name} of ${worker} is not ${formWords[form]}`];
      }),
    );
    const [gateway, jobs] = [secrets.get("gateway") ?? {}, secrets.get("jobs") ?? {}];
    const unequal = sharedWithJobs.filter((name) => gateway[name] !== jobs[name]);
    const values = [...secrets].flatMap(([worker, each]) =>
      Object.entries(each).filter(([name]) => worker !== "jobs" || !sharedWithJobs.includes(name)),
    );
    const twice = values.filter(([, value], i) => values.findIndex(([, other]) => other === value) < i);
    return [
      ...wrong,
      ...unequal.map((name) => `${name} differs between gateway and jobs`),
      ...twice.map(([name]) => `${name} has the value of another secret`),
      ...unpublished(gateway["TOKEN_SIGNING_KEY"], deployment),
    ];
  },
  "secrets present": ({ deployment, present }) =>
    present &&
    deployedWorkers.flatMap((worker) =>
      [...Object.keys(workerSecrets[worker]), ...originSecrets(worker, deployment)]
        .filter((name) => present.get(worker)?.includes(name) !== true)
        .map((name) => `${worker} has no secret ${name}: \`wrangler secret bulk\` sets it`),
    ),
  "lock rules": ({ locks }) =>
    locks && [
      ...(locks.some(locksTheLedger)
        ? []
        : [`no rule locks all of log/ for ${LOCK_DAYS} days: \`wrangler r2 bucket lock add\``]),
      ...rulesOnCheckpoints(locks).map(({ id }) => `rule ${id} locks checkpoint/, which is overwritten`),
    ],
  migrations: ({ migrations }) =>
    migrations && [
      ...migrations.files
        .filter((name) => !migrations.applied.includes(name))
        .map((name) => `${name} is not applied: \`wrangler d1 migrations apply\``),
      ...migrations.applied
        .filter((name) => !migrations.files.includes(name))
        .map((name) => `${name} is applied, and this version does not know it: deploy the newer version`),
    ],
  clock: ({ clockMilliseconds: drift }) =>
    drift === undefined
      ? undefined
      : Math.abs(drift) <= CLOCK_MILLISECONDS
        ? []
        : [
            `this machine's clock differs by ${Math.round(drift / 1000)} s from the gateway's: proofs need 5 s`,
          ],
  answers: ({ answering }) => answering,
  "root key": ({ rootKey }) => rootKey,
  "half-year": ({ deployment, halfYear }) => halfYear && layoutProblems(deployment, halfYear),
} as const satisfies Record<string, Check>;

/** The root log keeps the shards with which a half-year began: with others every log refuses (ADR 98). */
function layoutProblems(
  { regions, shards }: Environment,
  { halfYear, shards: kept }: HalfYearShards,
): readonly string[] {
  const layout = readLayout(regions, shards);
  if (!layout.ok) return [`regions "${regions}" with ${shards} shards: expected ${layout.error}`];
  const wanted = keyLayout(layout.value, halfYear);
  if (kept === null || kept === wanted) return [];
  return [
    `${halfYear} began with the shards "${kept}", and the file makes it "${wanted}": every log would refuse. ` +
      "Put the earlier regions and shards back, and begin a changed list with the next half-year",
  ];
}

/** These workers are called by RPC alone. */
const withoutHost: ReadonlySet<string> = new Set<DeployedWorker>(["control", "guards", "jobs"]);

/** Faults in the platform's logs and traces of a worker. A named environment replaces them. */
export function loggingProblems(worker: string, config: RawConfig | undefined): readonly string[] {
  const named = Object.values(config?.env ?? {}).map(({ observability }) => observability);
  const all = [config?.observability ?? {}, ...named.filter((given) => given !== undefined)];
  const isIn = (part: string) => all.every((given) => JSON.stringify(given).includes(part));
  return [
    ...(isIn('"invocation_logs":false') ? [] : [`${worker} logs whole URLs (invocation_logs)`]),
    ...(isIn('"traces":{"enabled":false}') ? [] : [`${worker} has the platform's traces, which name URLs`]),
    ...(withoutHost.has(worker) || isIn('"redact_query_string":true')
      ? []
      : [`${worker} logs queries, which have patient data (redact_query_string)`]),
  ];
}

/** Secrets of origins and issuers, which each worker with the core sends (ADR 138). */
const originSecrets = (worker: DeployedWorker, { secretHosts }: Environment): readonly string[] =>
  worker === "gateway" || worker === "jobs"
    ? secretHosts.map((place) => place.slice(0, place.indexOf("@")))
    : [];

/** `jobs` proves tokens of the built-in issuer by its public keys alone. */
function unpublished(
  signingKey: string | undefined,
  { tokenVerificationKeys }: Environment,
): readonly string[] {
  if (signingKey === undefined || !isWellFormed(signingKey, "ES256")) return [];
  const { kid, x } = publicHalfOf(signingKey);
  const isThere = tokenVerificationKeys?.keys.some((key) => key.kid === kid && key.x === x) === true;
  return isThere
    ? []
    : ["tokenVerificationKeys lacks the public half of TOKEN_SIGNING_KEY, which jobs needs"];
}

/** The verifier keys that auditors and witnesses need, from the ledger's secret. */
export function verifierKeysOf({ deployment, secrets }: Situation): readonly string[] {
  const key = secrets?.get("ledger")?.["CHECKPOINT_KEY"];
  if (key === undefined || !isWellFormed(key, "Ed25519 list")) return [];
  return [logVerifierKey(key, deployment.ledgerName)];
}

/** Each text of a JSON value, with its place. */
function placesOf(value: unknown, place: string): readonly (readonly [string, string])[] {
  if (typeof value === "string") return [[place, value]];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    placesOf(inner, place === "" ? name : `${place}.${name}`),
  );
}

/** Names each value that is still the placeholder of the model. */
export const placeholdersOf = (deployment: Environment): readonly string[] =>
  placesOf(deployment, "")
    .filter(([, text]) => isPlaceholder(text))
    .map(([place, text]) => `${place} is still the placeholder ${text}`);

const isPlaceholder = (text: string): boolean =>
  /(?:^|[./@])(?:[\w-]+\.)*(?:example|example\.(?:org|com|net))(?:$|[/:+])/u.test(text) ||
  /^0{8}-0{4}-0{4}-0{4}-0{12}$/u.test(text) ||
  /^<.*>$/u.test(text);

/** The first place where two JSON values differ. */
function differs(left: unknown, right: unknown, place: string): string | undefined {
  if (isDeepStrictEqual(left, right)) return undefined;
  const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
  if (!isObject(left) || !isObject(right)) return place;
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  for (const name of names) {
    const inner: unknown[] = [Reflect.get(left, name), Reflect.get(right, name)];
    const found = differs(inner[0], inner[1], place === "" ? name : `${place}.${name}`);
    if (found !== undefined) return found;
  }
  return undefined; // the same members in another order
}

const formWords: Readonly<Record<SecretForm, string>> = {
  Ed25519: "a private Ed25519 JWK",
  "Ed25519 list": "a private Ed25519 JWK, or an array that begins with one",
  ES256: "a private P-256 JWK with a kid",
  list: "one or more keys of 32 random bytes in base64url, separated by spaces",
};

function isWellFormed(value: string, form: SecretForm): boolean {
  if (form === "list") return readKeyList(value) !== undefined;
  try {
    if (form === "Ed25519 list") {
      const [first = "", ...further] = checkpointKeysIn(value);
      const halves = further.map((key): JsonWebKey => JSON.parse(key));
      return publicHalfOf(first).crv === "Ed25519" && halves.every(({ crv }) => crv === "Ed25519");
    }
    const { crv, kid } = publicHalfOf(value);
    return form === "Ed25519" ? crv === "Ed25519" : crv === "P-256" && typeof kid === "string";
  } catch {
    return false; // not a private JWK
  }
}

const locksTheLedger = ({ enabled, prefix, condition }: LockRule): boolean =>
  enabled &&
  "log/".startsWith(prefix) &&
  (condition.type === "Indefinite" ||
    (condition.type === "Age" && condition.maxAgeSeconds >= LOCK_DAYS * 86_400));
