import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { HalfYearShards } from "#ledger/health";
import { openCheckpoint } from "#ledger/tlog/checkpoint";
import { parseLogKey } from "../log/ledger-keys.ts";
import type { Situation } from "./checks.ts";
import type { Environment } from "./environment.ts";
import { configFile, deployedWorkers, type DeployedWorker } from "./worker-configs.ts";

const run = promisify(execFile);
const patienceMilliseconds = 30_000;

/** An answer of a deployed worker. */
export interface PageAnswer {
  readonly status: number;
  /** The `Date` of the answer, if it has any. */
  readonly date: string | undefined;
  readonly text: string;
}

/** The places that a live check asks. */
export interface LivePlaces {
  /** Runs wrangler and returns its answer as JSON. Throws if it fails. */
  readonly wrangler: (...args: readonly string[]) => Promise<unknown>;
  /** Asks a host name. Throws if it does not answer. */
  readonly get: (url: string) => Promise<PageAnswer>;
}

type LiveFacts = Pick<
  Situation,
  "present" | "migrations" | "clockMilliseconds" | "answering" | "rootKey" | "halfYear"
>;

/**
 * The facts about a deployment that runs: its secrets and migrations by wrangler, its clock, the answers of its host
 * names, the key of its root log, and the shards of its half-year. A host name that does not answer is a fact, and no error.
 */
export async function liveFacts(
  deployment: Environment,
  folder: string,
  migrationsFolder: string,
  keys: readonly string[],
  { wrangler, get }: LivePlaces,
): Promise<LiveFacts> {
  const present = new Map<DeployedWorker, readonly string[]>();
  for (const worker of deployedWorkers)
    present.set(
      worker,
      namesIn(await wrangler("secret", "list", "--format", "json", "-c", configFile(folder, worker))),
    );
  const query = ["d1", "execute", deployment.database.name, "--remote", "--json"];
  const config = configFile(folder, "control");
  const answer = await wrangler(...query, "--command", "SELECT name FROM d1_migrations", "-c", config);
  const [result]: readonly { readonly results?: unknown }[] = Array.isArray(answer) ? answer : [];
  const files = readdirSync(migrationsFolder).filter((name) => name.endsWith(".sql"));
  const before = Date.now();
  const [gateway, ...others] = await Promise.all(placesOf(deployment).map((place) => look(place, get)));
  const drift = driftOf(gateway?.answer, before, Date.now());
  const root = keys.length === 0 ? undefined : await rootKeyProblems(deployment, keys, get);
  const halfYear = await halfYearAt(deployment, get);
  return {
    present,
    migrations: { files, applied: namesIn(result?.results) },
    answering: [gateway, ...others].flatMap((found) => found?.problem ?? []),
    ...(drift !== undefined && { clockMilliseconds: drift }),
    ...(root !== undefined && { rootKey: root }),
    ...(halfYear !== undefined && { halfYear }),
  };
}

interface Place {
  readonly url: string;
  /** A sentence if the answer is not the expected worker's. */
  readonly problem: (answer: PageAnswer) => string | undefined;
}

/** A document of each host name that only its own worker answers. */
function placesOf({ publicUrl, mtlsUrl, opsUrl, ledgerUrl }: Environment): readonly Place[] {
  const isGateway = (answer: PageAnswer) => {
    const issuer: unknown = memberOf(answer, "issuer");
    return issuer === publicUrl ? undefined : `names the issuer ${String(issuer)}, and not ${publicUrl}`;
  };
  const metadata = "/.well-known/oauth-authorization-server";
  return [
    { url: `${publicUrl}${metadata}`, problem: isGateway },
    ...(mtlsUrl === undefined ? [] : [{ url: `${mtlsUrl}${metadata}`, problem: isGateway }]),
    {
      url: `${opsUrl}/api/openapi.json`,
      problem: (answer) =>
        memberOf(answer, "openapi") === undefined ? "is not the operators' door" : undefined,
    },
    {
      url: `${ledgerUrl}/root/checkpoint`,
      problem: ({ text }) => (text.includes("\n\n— ") ? undefined : "has no checkpoint of the root log"),
    },
  ];
}

async function look({ url, problem }: Place, get: LivePlaces["get"]) {
  try {
    const answer = await get(url);
    const wrong = answer.status === 200 ? problem(answer) : `answered ${answer.status}`;
    return { answer, problem: wrong === undefined ? [] : [`${url} ${wrong}: check the custom domain`] };
  } catch {
    return { problem: [`${url} cannot be reached: check the custom domain`] };
  }
}

/** The gateway's clock minus this machine's, in ms, by the `Date` of an answer between the two times. */
function driftOf(answer: PageAnswer | undefined, before: number, after: number): number | undefined {
  const date = Date.parse(answer?.date ?? "");
  return Number.isNaN(date) ? undefined : date + 500 - (before + after) / 2; // a date has whole seconds
}

/** The root log's checkpoint is signed by the key that auditors and witnesses were given. */
async function rootKeyProblems(
  { ledgerUrl }: Environment,
  keys: readonly string[],
  get: LivePlaces["get"],
): Promise<readonly string[] | undefined> {
  const answer = await get(`${ledgerUrl}/root/checkpoint`).catch(() => undefined);
  if (answer?.status !== 200) return undefined; // the check of the host names says so
  const note = new TextEncoder().encode(answer.text);
  const isSigned = keys.some((text) => {
    const key = parseLogKey(text);
    return key !== undefined && openCheckpoint(note, key).ok;
  });
  return isSigned ? [] : [`the root log at ${ledgerUrl} is signed by another key than CHECKPOINT_KEY`];
}

/** From the operators' `/readyz`, which is 503 while every log refuses. Undefined: it does not say so. */
async function halfYearAt(
  { opsUrl }: Environment,
  get: LivePlaces["get"],
): Promise<HalfYearShards | undefined> {
  const answer = await get(`${opsUrl}/readyz`).catch(() => undefined);
  const ledger = Object(answer && memberOf(answer, "ledger"));
  const [halfYear, shards]: unknown[] = [Reflect.get(ledger, "halfYear"), Reflect.get(ledger, "shards")];
  return typeof halfYear === "string" && (typeof shards === "string" || shards === null)
    ? { halfYear, shards }
    : undefined;
}

function memberOf({ text }: PageAnswer, name: string): unknown {
  try {
    return Reflect.get(Object(JSON.parse(text)), name);
  } catch {
    return undefined; // no JSON: another server answers
  }
}

function namesIn(list: unknown): readonly string[] {
  if (!Array.isArray(list))
    throw new Error("wrangler's answer has no list of names: run its command by hand");
  return list.map((each: { readonly name?: unknown }) => String(each.name));
}

/** Cloudflare by the locked wrangler, and the host names by HTTPS. */
export const liveAt = (repository: string): LivePlaces => ({
  async wrangler(...args) {
    const bin = join(repository, "node_modules/wrangler/bin/wrangler.js");
    try {
      const options = { cwd: repository, maxBuffer: 16_777_216 };
      const { stdout } = await run(process.execPath, [bin, ...args], options);
      return JSON.parse(stdout);
    } catch {
      throw new Error(`\`npx wrangler ${args.join(" ")}\` failed: run it by hand to see why`);
    }
  },
  async get(url) {
    const signal = AbortSignal.timeout(patienceMilliseconds);
    const answer = await fetch(url, { redirect: "error", signal });
    return {
      status: answer.status,
      date: answer.headers.get("date") ?? undefined,
      text: await answer.text(),
    };
  },
});
