import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs, promisify } from "node:util";
import { readSecrets } from "../keys/keys-new.ts";
import { readLocks } from "../log/lock-rules.ts";
import { Misuse, printFault } from "../misuse.ts";
import { printable } from "../printable.ts";
import { checks, verifierKeysOf, type Situation } from "./checks.ts";
import { folderOf, repository } from "./deploy-config.ts";
import { readEnvironment, type Environment } from "./environment.ts";
import { configFile, configsOf, deployedWorkers, writtenConfigs } from "./worker-configs.ts";
import { giveResult, inColour, say } from "../output.ts";

const run = promisify(execFile);

/**
 * Checks an environment before and after it is deployed. Without --live it reads files alone; with it, it asks
 * Cloudflare by wrangler, and the gateway. Returns 1 if a check fails.
 */
export async function deployCheck(args: readonly string[]): Promise<number> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { secrets: text, locks: text, "token-file": text, live: flag },
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new Misuse();
  try {
    const deployment = readEnvironment(file);
    const folder = folderOf(file, deployment.environment);
    const situation: Situation = {
      deployment,
      expected: await configsOf(deployment, repository, folder),
      written: writtenConfigs(folder),
      ...(values.secrets !== undefined && { secrets: secretsIn(resolve(values.secrets)) }),
      ...(values.locks !== undefined && { locks: await readLocks(values.locks, values["token-file"]) }),
      ...(values.live && (await liveFacts(deployment, folder))),
    };
    return report(situation);
  } catch (fault) {
    return printFault(fault);
  }
}

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
    if (wrong === undefined) say(`${check}: ${inColour("yellow", "not checked")}`);
    else if (wrong.length === 0) say(`${check}: ${inColour("green", "good")}`);
    else for (const sentence of wrong) say(`${check}: ${inColour("red", "WRONG")}: ${printable(sentence)}`);
  }
  for (const key of keys) say(`verifier key: ${key}`);
  return good ? 0 : 1;
}

const secretsIn = (folder: string) =>
  new Map(deployedWorkers.map((worker) => [worker, readSecrets(join(folder, `${worker}.secrets.json`))]));

async function liveFacts(
  deployment: Environment,
  folder: string,
): Promise<Pick<Situation, "present" | "migrations" | "clockMilliseconds">> {
  const present = new Map<(typeof deployedWorkers)[number], readonly string[]>();
  for (const worker of deployedWorkers) {
    const listed = await wrangler("secret", "list", "--format", "json", "-c", configFile(folder, worker));
    present.set(worker, namesIn(listed));
  }
  const query = ["d1", "execute", deployment.database.name, "--remote", "--json", "--command"];
  const answer = await wrangler(
    ...query,
    "SELECT name FROM d1_migrations",
    "-c",
    configFile(folder, "control"),
  );
  const [result]: readonly { readonly results?: unknown }[] = Array.isArray(answer) ? answer : [];
  const files = readdirSync(join(repository, "migrations")).filter((name) => name.endsWith(".sql"));
  return {
    present,
    migrations: { files, applied: namesIn(result?.results) },
    clockMilliseconds: await clockDrift(deployment.publicUrl),
  };
}

function namesIn(list: unknown): readonly string[] {
  if (!Array.isArray(list))
    throw new Error("wrangler's answer has no list of names: run its command by hand");
  return list.map((each: { readonly name?: unknown }) => String(each.name));
}

async function wrangler(...args: readonly string[]): Promise<unknown> {
  const bin = join(repository, "node_modules/wrangler/bin/wrangler.js");
  try {
    const { stdout } = await run(process.execPath, [bin, ...args], {
      cwd: repository,
      maxBuffer: 16_777_216,
    });
    return JSON.parse(stdout);
  } catch {
    throw new Error(`\`npx wrangler ${args.join(" ")}\` failed: run it by hand to see why`);
  }
}

/** The gateway's clock minus this machine's, in ms, by the `Date` of an answer. */
async function clockDrift(url: string): Promise<number> {
  const before = Date.now();
  const answer = await fetch(`${url}/healthz`, {
    redirect: "error",
    signal: AbortSignal.timeout(30_000),
  }).catch(() => {
    throw new Error(`${url}/healthz cannot be reached: check the custom domain`);
  });
  const date = Date.parse(answer.headers.get("date") ?? "");
  if (Number.isNaN(date)) throw new Error(`${url}/healthz answered without a date`);
  return date + 500 - (before + Date.now()) / 2; // a date has whole seconds
}
