import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { checks, verifierKeysOf, type Situation } from "../../cli/deploy/checks.ts";
import { environmentSchema, readEnvironment, type Environment } from "../../cli/deploy/environment.ts";
import {
  configsOf,
  deployedWorkers,
  type DeployedWorker,
  type RawConfig,
} from "../../cli/deploy/worker-configs.ts";
import { newPrivateJwk, newSecret, publicHalfOf, workerSecrets } from "../../cli/keys/made-keys.ts";
import { phylax } from "./phylax.ts";

const root = join(import.meta.dirname, "../..");
const folder = join(root, "deploy/production");
const privateAuditor = (kid: string) =>
  ({ ...newPrivateJwk("ECDH-ES+A256KW", kid), kty: "EC", kid }) as const;
const auditor = (kid: string) => {
  const { x = "", y = "" } = publicHalfOf(JSON.stringify(privateAuditor(kid)));
  return { kid, kty: "EC", crv: "P-256", x, y } as const;
};
const secretsOf = (worker: DeployedWorker) =>
  Object.fromEntries(
    Object.entries(workerSecrets[worker]).map(([name, form]) => [name, newSecret(name, form)]),
  );
const gatewaySecrets = secretsOf("gateway");
const { kid = "", x = "" } = publicHalfOf(gatewaySecrets["TOKEN_SIGNING_KEY"] ?? "");
const deployment = environmentSchema.parse({
  environment: "production",
  publicUrl: "https://fhir.hospital.org",
  mtlsUrl: "https://mtls.hospital.org",
  opsUrl: "https://ops.hospital.org",
  ledgerUrl: "https://ledger.hospital.org",
  ledgerName: "ledger.hospital.org",
  shards: 8,
  regions: "",
  jurisdiction: "us",
  database: { name: "phylax-registry", id: "1b671a64-40d5-491e-99b0-da01ff1f3341" },
  bucket: "phylax-ledger",
  originHosts: ["ehr.hospital.org"],
  secretHosts: ["EHR_TOKEN@ehr.hospital.org"],
  tokenVerificationKeys: { keys: [{ kid, kty: "EC", x }] },
  auditors: [auditor("one"), auditor("two")],
});
const files = ["0001_registry.sql", "0002_introspection.sql"];
const secrets = new Map<DeployedWorker, Readonly<Record<string, string>>>([
  ...deployedWorkers.map((worker) => [worker, secretsOf(worker)] as const),
  ["gateway", gatewaySecrets],
]);
const { PAGING_KEY = "", DPOP_NONCE_KEY = "" } = gatewaySecrets;
secrets.set("jobs", { ...secrets.get("jobs"), PAGING_KEY, DPOP_NONCE_KEY });
const lock = {
  id: "ledger-records",
  enabled: true,
  prefix: "log/",
  condition: { type: "Age", maxAgeSeconds: 2_200 * 86_400 },
} as const;

let good: Situation;
beforeAll(async () => {
  const expected = await configsOf(deployment, root, folder);
  good = {
    deployment,
    expected,
    written: expected,
    secrets,
    present: new Map(
      deployedWorkers.map((worker) => [worker, ["EHR_TOKEN", ...Object.keys(workerSecrets[worker])]]),
    ),
    migrations: { files, applied: files },
    locks: [lock],
    clockMilliseconds: 400,
    answering: [],
    rootKey: [],
    halfYear: { halfYear: "2026h2", shards: "8" },
  };
});

const failing = (situation: Situation) =>
  Object.entries(checks).flatMap(([name, look]) => ((look(situation) ?? []).length > 0 ? [name] : []));
/** The situation with a changed written configuration. */
const withWritten = (worker: DeployedWorker, change: (config: RawConfig) => object): Situation => {
  const config = good.written.get(worker);
  if (config === undefined) throw new Error("not written");
  const changed: RawConfig = { ...config, ...change(config) };
  return { ...good, written: new Map([...good.written, [worker, changed]]) };
};
const withSecrets = (worker: DeployedWorker, change: Readonly<Record<string, string>>): Situation => ({
  ...good,
  secrets: new Map([...(good.secrets ?? []), [worker, { ...good.secrets?.get(worker), ...change }]]),
});
const withDeployment = (change: Partial<Environment>): Situation => ({
  ...good,
  deployment: { ...deployment, ...change },
});

test("a whole deployment passes every check, and prints the root log's verifier key", () => {
  expect(failing(good)).toEqual([]);
  for (const [name, look] of Object.entries(checks)) expect(look(good), name).toEqual([]);
  expect(verifierKeysOf(good)).toEqual([
    expect.stringMatching(/^ledger\.hospital\.org\/root\+[0-9a-f]{8}\+/u),
  ]);
});

type Broken = readonly [what: string, check: keyof typeof checks, situation: () => Situation, says: RegExp];
const { databaseZero, unlocked } = {
  databaseZero: { name: "phylax-registry", id: "00000000-0000-0000-0000-000000000000" },
  unlocked: { ...lock, condition: { type: "Age", maxAgeSeconds: 2_199 * 86_400 } } as const,
};
const broken: readonly Broken[] = [
  [
    "a database id of the template",
    "placeholders",
    () => withDeployment({ database: databaseZero }),
    /database\.id/u,
  ],
  [
    "a host of the example",
    "placeholders",
    () => withDeployment({ publicUrl: "https://fhir.example.org" }),
    /publicUrl/u,
  ],
  [
    "a ledger name of the template",
    "placeholders",
    () => withDeployment({ ledgerName: "ledger.phylax.example" }),
    /ledgerName/u,
  ],
  ["one auditor", "auditors", () => withDeployment({ auditors: [auditor("one")] }), /two auditors/u],
  [
    "an auditor's private half",
    "auditors",
    () => withDeployment({ auditors: [auditor("one"), privateAuditor("two")] }),
    /private half/u,
  ],
  [
    "a missing file",
    "files",
    () => ({ ...good, written: new Map([...good.written, ["ops", undefined]]) }),
    /ops\.json is missing/u,
  ],
  [
    "an edited file",
    "files",
    () => withWritten("ledger", ({ vars }) => ({ vars: { ...vars, LEDGER_NAME: "other" } })),
    /vars\.LEDGER_NAME/u,
  ],
  [
    "different shards",
    "shards",
    () => withWritten("ops", ({ vars }) => ({ vars: { ...vars, LEDGER_SHARDS: "4" } })),
    /8, 8, 4, 8/u,
  ],
  [
    "a different jurisdiction",
    "shards",
    () => withWritten("gateway", ({ vars }) => ({ vars: { ...vars, LEDGER_JURISDICTION: "" } })),
    /JURISDICTION/u,
  ],
  [
    "no host of the ledger",
    "hosts",
    () => withWritten("ledger", () => ({ routes: [] })),
    /ledger\.hospital\.org/u,
  ],
  [
    "one host for two workers",
    "hosts",
    () => withDeployment({ opsUrl: "https://fhir.hospital.org" }),
    /two workers/u,
  ],
  [
    "a route of control",
    "hosts",
    () => withWritten("control", () => ({ routes: [{ pattern: "fhir.hospital.org", custom_domain: true }] })),
    /control/u,
  ],
  ["workers.dev", "hosts", () => withWritten("gateway", () => ({ workers_dev: true })), /workers\.dev/u],
  [
    "invocation logs",
    "logging",
    () => withWritten("gateway", () => ({ observability: { enabled: true } })),
    /invocation_logs/u,
  ],
  ["a missing secret", "secret values", () => ({ ...good, secrets: new Map() }), /no TOKEN_SIGNING_KEY/u],
  ["a short secret", "secret values", () => withSecrets("gateway", { PAGING_KEY: "c2hvcnQ" }), /PAGING_KEY/u],
  [
    "a public half as a secret",
    "secret values",
    () => withSecrets("ledger", { CHECKPOINT_KEY: '{"kty":"OKP"}' }),
    /Ed25519/u,
  ],
  [
    "one value twice",
    "secret values",
    () => withSecrets("ops", { DPOP_NONCE_KEY: good.secrets?.get("gateway")?.["DPOP_NONCE_KEY"] ?? "" }),
    /another secret/u,
  ],
  [
    "a nonce key that jobs alone has",
    "secret values",
    () => withSecrets("jobs", { DPOP_NONCE_KEY: newSecret("DPOP_NONCE_KEY", "list") }),
    /DPOP_NONCE_KEY differs/u,
  ],
  [
    "no public half of the signing key for jobs",
    "secret values",
    () => withDeployment({ tokenVerificationKeys: { keys: [{ kid, kty: "EC", x: "other" }] } }),
    /tokenVerificationKeys lacks/u,
  ],
  [
    "an origin's secret that jobs lacks",
    "secrets present",
    () => ({
      ...good,
      present: new Map([...(good.present ?? []), ["jobs", Object.keys(workerSecrets.jobs)]]),
    }),
    /jobs has no secret EHR_TOKEN/u,
  ],
  [
    "a secret that Cloudflare lacks",
    "secrets present",
    () => ({ ...good, present: new Map([["control", ["CONSENT_KEY"]]]) }),
    /CHECKPOINT_KEY/u,
  ],
  ["a short lock", "lock rules", () => ({ ...good, locks: [unlocked] }), /2200 days/u],
  ["a disabled lock", "lock rules", () => ({ ...good, locks: [{ ...lock, enabled: false }] }), /2200 days/u],
  [
    "a lock of one log alone",
    "lock rules",
    () => ({ ...good, locks: [{ ...lock, prefix: "log/other" }] }),
    /2200 days/u,
  ],
  [
    "a lock on checkpoints",
    "lock rules",
    () => ({ ...good, locks: [lock, { ...lock, id: "all", prefix: "" }] }),
    /rule all/u,
  ],
  [
    "a missing migration",
    "migrations",
    () => ({ ...good, migrations: { files, applied: files.slice(1) } }),
    /0001_registry/u,
  ],
  [
    "a migration of a newer version",
    "migrations",
    () => ({ ...good, migrations: { files, applied: [...files, "0099_new.sql"] } }),
    /0099_new/u,
  ],
  ["a host that does not answer", "answers", () => ({ ...good, answering: ["x: no answer"] }), /no answer/u],
  ["a different root key", "root key", () => ({ ...good, rootKey: ["another key"] }), /another key/u],
  [
    "more shards than the half-year",
    "half-year",
    () => withDeployment({ shards: 16 }),
    /"8".*"16".*next half-year/u,
  ],
  [
    "a list of regions in place of none",
    "half-year",
    () => withDeployment({ regions: "weur:4 enam:4" }),
    /"weur:4 enam:4"/u,
  ],
  ["regions that do not fit the shards", "half-year", () => withDeployment({ regions: "weur:4" }), /sum to/u],
  ["a clock six seconds off", "clock", () => ({ ...good, clockMilliseconds: -6_000 }), /-6 s/u],
];

describe("each check has a deployment that it refuses", () => {
  test.for(broken)("%s", ([, check, situation, says]) => {
    expect((checks[check](situation()) ?? []).join("\n")).toMatch(says);
  });
  test("the list above has a deployment for each check", () => {
    expect(new Set(broken.map(([, check]) => check))).toEqual(new Set(Object.keys(checks)));
  });
});

test("a list that begins with a later half-year, and a ledger without a log yet, pass the check of the half-year", () => {
  const later = withDeployment({ shards: 16, regions: "weur:8; 2027h1 weur:8 enam:8" });
  expect(checks["half-year"](later)).toEqual([]);
  const first = { ...withDeployment({ shards: 16 }), halfYear: { halfYear: "2026h2", shards: null } };
  expect(checks["half-year"](first)).toEqual([]);
});

test("deploy config writes files from one source, deploy check finds the example's placeholders, and an edit", async () => {
  const place = mkdtempSync(join(root, "deploy/test-")); // below the repository: the files name the sources
  try {
    const file = join(place, "site.json");
    writeFileSync(file, readFileSync(join(root, "deploy/example.json"), "utf8"));
    expect(readEnvironment(file).environment).toBe("production");
    const made = await phylax("deploy", "config", file);
    expect([made.code, made.error.split("\n")[0]]).toEqual([
      1,
      "do not deploy yet: publicUrl is still the placeholder https://fhir.example.org",
    ]);
    expect(made.out.match(/deploy -c/gu)).toHaveLength(6);
    const { code, out } = await phylax("deploy", "check", file);
    expect(code).toBe(1);
    expect(out).toContain(
      "files: good\nshards: good\nhosts: good\nlogging: good\nsecret values: not checked (--secrets)\n",
    );
    expect(out).toContain("placeholders: WRONG: publicUrl is still the placeholder https://fhir.example.org");
    const ops = join(place, "production/ops.json");
    writeFileSync(ops, readFileSync(ops, "utf8").replace('"LEDGER_SHARDS": "4"', '"LEDGER_SHARDS": "5"'));
    const edited = await phylax("deploy", "check", file);
    expect(edited.out).toContain("files: WRONG: ops.json differs at vars.LEDGER_SHARDS");
    expect(edited.out).toContain("shards: WRONG: LEDGER_SHARDS is 4, 4, 5");
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});

test("wrangler uploads the file that the command makes, and bundles nothing itself", () => {
  for (const [worker, config] of good.expected)
    expect(config).toMatchObject({
      main: `../../dist/${worker}/index.js`,
      build: { command: `node scripts/with-node.mjs scripts/bundle-worker.ts ${worker}` },
      no_bundle: true,
      find_additional_modules: false,
    });
});

test("no value of the development stack is left in a configuration", () => {
  for (const [worker, { vars = {} }] of good.expected)
    for (const [name, value] of Object.entries(vars))
      expect(JSON.stringify(value), `${worker} ${name}`).not.toMatch(/localhost|127\.0\.0\.1|\.example/u);
});

test("the Workers that ask origins alone have bindings to private origins", async () => {
  const bindings = { vpcServices: [{ binding: "HOSPITAL", service_id: "0190" }] };
  const configs = await configsOf({ ...deployment, ...bindings }, root, folder);
  const having = [...configs].filter(([, config]) => "vpc_services" in config).map(([worker]) => worker);
  expect(having).toEqual(["jobs", "gateway"]);
  expect(configs.get("gateway")).toMatchObject({ vpc_services: bindings.vpcServices });
});

test("an error in an environment's file names its place", async () => {
  const place = mkdtempSync(join(tmpdir(), "phylax-deploy-"));
  mkdirSync(place, { recursive: true });
  const file = join(place, "site.json");
  writeFileSync(file, JSON.stringify({ ...deployment, opsUrl: "http://ops.hospital.org" }));
  expect((await phylax("deploy", "check", file)).error).toContain("opsUrl: https://host");
  writeFileSync(file, JSON.stringify({ ...deployment, publicURL: "x" }));
  expect((await phylax("deploy", "check", file)).code).toBe(1);
});
