import { join, resolve } from "node:path";
import { readSecrets } from "../keys/keys-new.ts";
import { readLocks } from "../log/lock-rules.ts";
import { printable } from "../printable.ts";
import { checks, verifierKeysOf, type Situation } from "./checks.ts";
import { folderOf, repository } from "./deploy-config.ts";
import { readEnvironment } from "./environment.ts";
import { liveAt, liveFacts } from "./live.ts";
import { configsOf, deployedWorkers, writtenConfigs } from "./worker-configs.ts";
import { giveResult, inColour, say } from "../output.ts";
import { readNamedCall } from "../read-call.ts";

/**
 * Checks an environment before and after it is deployed. Without --live it reads files alone; with it, it asks
 * Cloudflare by wrangler, and the gateway. Returns 1 if a check fails.
 */
export async function deployCheck(args: readonly string[]): Promise<number> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values, name: file } = readNamedCall(args, {
    secrets: text,
    locks: text,
    "token-file": text,
    live: flag,
  });
  const deployment = readEnvironment(file);
  const folder = folderOf(file, deployment.environment);
  const situation: Situation = {
    deployment,
    expected: await configsOf(deployment, repository, folder),
    written: writtenConfigs(folder),
    ...(values.secrets !== undefined && { secrets: secretsIn(resolve(values.secrets)) }),
    ...(values.locks !== undefined && { locks: await readLocks(values.locks, values["token-file"]) }),
  };
  if (!values.live) return report(situation);
  const migrations = join(repository, "migrations");
  const keys = verifierKeysOf(situation);
  return report({
    ...situation,
    ...(await liveFacts(deployment, folder, migrations, keys, liveAt(repository))),
  });
}

/** The option that a check needs, where it is not --live. */
const neededOption: Readonly<Record<string, string>> = {
  "secret values": "--secrets",
  "lock rules": "--locks",
  "root key": "--live and --secrets",
  "half-year": "--live, when the ledger runs",
};

function report(situation: Situation): number {
  const found = Object.entries(checks).map(([check, look]) => ({ check, wrong: look(situation) }));
  const keys = verifierKeysOf(situation);
  const good = found.every(({ wrong }) => wrong === undefined || wrong.length === 0);
  const results = found.map(({ check, wrong }) => ({
    check,
    checked: wrong !== undefined,
    wrong: wrong ?? [],
  }));
  giveResult({ good, checks: results, verifierKeys: keys });
  for (const { check, wrong } of found) {
    if (wrong === undefined)
      say(`${check}: ${inColour("yellow", "not checked")} (${neededOption[check] ?? "--live"})`);
    else if (wrong.length === 0) say(`${check}: ${inColour("green", "good")}`);
    else for (const sentence of wrong) say(`${check}: ${inColour("red", "WRONG")}: ${printable(sentence)}`);
  }
  for (const key of keys) say(`verifier key: ${key}`);
  return good ? 0 : 1;
}

const secretsIn = (folder: string) =>
  new Map(deployedWorkers.map((worker) => [worker, readSecrets(join(folder, `${worker}.secrets.json`))]));
