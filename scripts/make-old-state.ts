/**
 * Makes a fixture of a state folder and its ledger, written by a version of this project. Every later version
 * must start from it, read and verify it (test/e2e/old-state.test.ts). The script runs that version, makes it
 * write a record of each kind, and packs the files on disk.
 *
 *     git worktree add ../old COMMIT && (cd ../old && npm ci)
 *     node scripts/with-node.mjs scripts/make-old-state.ts ../old
 *
 * The fixture is test/fixtures/state-COMMIT.tar.gz. Its patients are invented here; its keys belong to a
 * single development stack.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:https";
import { homedir, hostname, tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as wait } from "node:timers/promises";
import type { JWK } from "jose";
import { accessToken, requestToken } from "../cli/connection/access-token.ts";
import { clientOf, readDevFile, type DevClient, type DevFile } from "../cli/connection/dev-file.ts";
import { keyProof } from "../cli/connection/key-proof.ts";
import { closeConnections, send, type Reply, type Sending } from "../cli/connection/mutual-tls.ts";
import { recordVectors } from "./record-vectors.ts";

const fhirJson = "application/fhir+json";
const port = 8_443;
// Frames are copied to R2 within a minute, and lines are in their stores long before.
const copiedMilliseconds = 70_000;

const at = (n: number) => `2026-0${1 + (n % 9)}-1${n % 9}`;
const observation = (id: string, patient: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  category: [
    {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" }],
    },
  ],
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: { reference: `Patient/${patient}` },
  effectiveDateTime: at(id.length),
  valueQuantity: { value: 72, unit: "/min", system: "http://unitsofmeasure.org", code: "/min" },
  ...more,
});
const patient = (id: string, family: string, state: string, more: object = {}) => ({
  resourceType: "Patient",
  id,
  name: [{ family, given: ["Test"] }],
  birthDate: "1980-02-03",
  gender: "female",
  address: [{ state, postalCode: "02139", country: "US" }],
  ...more,
});

/** The patients of the fixture: invented, and few. */
const resources: readonly object[] = [
  patient("amara-okafor", "Okafor", "MA", {
    link: [{ type: "replaces", other: { reference: "Patient/amara-old" } }],
  }),
  patient("amara-old", "Okafor", "NH", {
    active: false,
    link: [{ type: "replaced-by", other: { reference: "Patient/amara-okafor" } }],
  }),
  patient("bela", "Nagy", "CA"),
  patient("carl", "Lind", "TX"),
  { resourceType: "Practitioner", id: "vera", name: [{ family: "Vera" }] },
  observation("of-amara", "amara-okafor", { performer: [{ reference: "Practitioner/vera" }] }),
  observation("of-bela", "bela"),
  observation("to-update", "bela"),
  observation("to-patch", "bela"),
  observation("to-delete", "bela"),
  // An answer of more than 1 MiB is sent in windows.
  ...Array.from({ length: 25 }, (_, n) =>
    observation(`long-${n}`, "carl", { note: [{ text: "long ".repeat(60_000) }] }),
  ),
];

class OldVersion {
  readonly dev: DevFile;
  readonly #checkout: string;
  readonly #state: string;
  readonly #child: ReturnType<typeof spawn>;
  #nonce: string | undefined;
  readonly #tokens = new Map<string, string>();

  private constructor(checkout: string, state: string, child: ReturnType<typeof spawn>) {
    this.#checkout = checkout;
    this.#state = state;
    this.#child = child;
    this.dev = readDevFile(state);
  }

  static async start(checkout: string, state: string, bundles: string): Promise<OldVersion> {
    const options = ["--port", String(port), "--state", state, "--bundles", bundles];
    const child = spawn("node", ["scripts/with-node.mjs", "sandbox/start.ts", ...options], { cwd: checkout });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => (said += chunk.toString()));
    for (const until = Date.now() + 120_000; !/^ready/mu.test(said);) {
      if (child.exitCode !== null || Date.now() > until) throw new Error(`not ready: ${said}`);
      await wait(100);
    }
    return new OldVersion(checkout, state, child);
  }

  /** Requests as a client, with its certificate or its key; a path is below the FHIR base. */
  async ask(id: string, path: string, { headers = {}, ...sending }: Sending = {}): Promise<Reply> {
    const client = clientOf(this.dev, id);
    const token = this.#tokens.get(id) ?? (await accessToken(this.dev, client));
    this.#tokens.set(id, token);
    const url = path.startsWith("https:") ? path : `${this.dev.fhir}/${path}`;
    if (!client.dpop)
      return send(this.dev, client, url, {
        ...sending,
        headers: { authorization: `Bearer ${token}`, ...headers },
      });
    const prove = async () => {
      const dpop = await keyProof(keyOf(client), {
        url,
        method: sending.method ?? "GET",
        nonce: this.#nonce,
        token,
      });
      const reply = await send(this.dev, undefined, url, {
        ...sending,
        headers: { authorization: `DPoP ${token}`, dpop, ...headers },
      });
      this.#nonce = reply.headers["dpop-nonce"]?.toString() ?? this.#nonce;
      return reply;
    };
    const first = await prove();
    return first.status === 401 ? prove() : first; // the first answer had the nonce
  }

  /** Sends a request, and disconnects at the first bytes of the answer. */
  async leave(id: string, path: string): Promise<void> {
    const client = clientOf(this.dev, id);
    const token = await accessToken(this.dev, client);
    const files = {
      ca: readFileSync(this.dev.ca),
      cert: readFileSync(client.cert),
      key: readFileSync(client.key),
      agent: false,
    } as const;
    await new Promise<void>((resolve, reject) => {
      const asked = request(`${this.dev.fhir}/${path}`, {
        ...files,
        headers: { authorization: `Bearer ${token}` },
      });
      asked.on("response", (incoming) => {
        incoming.on("error", () => undefined);
        incoming.once("data", () => {
          asked.destroy();
          resolve();
        });
      });
      asked.on("error", reject).end();
    });
  }

  write(
    id: string,
    method: string,
    path: string,
    body: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Reply> {
    return this.ask(id, path, {
      method,
      headers: { "content-type": fhirJson, ...headers },
      body: JSON.stringify(body),
    });
  }

  async form(id: string, url: string, fields: Readonly<Record<string, string>>): Promise<Reply> {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return send(this.dev, clientOf(this.dev, id), url, {
      method: "POST",
      headers,
      body: new URLSearchParams(fields).toString(),
    });
  }

  /** The command of that version, below its own state. */
  async command(...args: readonly string[]): Promise<string> {
    const child = spawn("node", ["scripts/with-node.mjs", "cli/main.ts", ...args], { cwd: this.#checkout });
    const [out, error] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const code = child.exitCode ?? (await new Promise<number | null>((done) => child.on("exit", done)));
    if (code !== 0) throw new Error(`phylax ${args.join(" ")}: ${code} ${out} ${error}`);
    return out;
  }

  /** Every record, opened as an auditor would. */
  async records(): Promise<readonly OldRecord[]> {
    const key = join(this.#state, "auditors", "auditor-1.jwk.json");
    const keys = join(this.#state, "dev.json");
    const out = await this.command("ledger", "read", this.dev.ledger, "--key", key, "--keys", keys, "--json");
    return out
      .split("\n")
      .filter(Boolean)
      .map((line): OldRecord => JSON.parse(line));
  }

  async stop(): Promise<void> {
    closeConnections();
    const ended = new Promise((done) => this.#child.on("exit", done));
    this.#child.kill("SIGTERM");
    await ended;
  }
}

interface OldRecord {
  readonly event: { readonly kind: string; readonly outcome?: { readonly reason?: string } };
}

function keyOf({ jwk }: DevClient): JWK {
  return JSON.parse(readFileSync(jwk ?? "", "utf8"));
}

function must(reply: Reply, ...statuses: readonly number[]): Reply {
  if (!statuses.includes(reply.status))
    throw new Error(`${reply.status}, not ${statuses.join(" or ")}: ${reply.text}`);
  return reply;
}

const receiptOf = ({ headers }: Reply): string => String(headers["phylax-receipt"]);

/** Makes a record of each kind that a request can cause, and returns some receipts. */
async function drive(old: OldVersion, folder: string): Promise<readonly string[]> {
  const { dev } = old;
  const receipts: string[] = [];
  const read = async (id: string, path: string, status = 200) =>
    void receipts.push(receiptOf(must(await old.ask(id, path), status)));
  // disclosure, refusal
  await read("telehealth", "Patient/amara-okafor");
  await read("telehealth", "Patient/amara-old");
  await read("payer", "Patient/bela");
  await read("public-health", "Patient/bela");
  await read("public-health", "Patient/amara-okafor");
  await read("research", "Patient?_id=amara-okafor,bela");
  await read("operations", "Observation?patient=bela&_include=Observation:subject");
  await read("telehealth-mobile", "Observation?patient=amara-okafor");
  await read("telehealth", "Observation?patient.family=Nagy");
  await read("patient-app", "Patient/amara-okafor");
  await read("telehealth", "Patient/nobody", 404);
  await read("patient-app", "Patient/bela", 404);
  await read("payer", "Patient?telecom=x", 403);
  await read("telehealth", "MedicinalProduct/1", 403);
  must(await send(dev, undefined, `${dev.fhir}/Patient/amara-okafor`), 401);
  must(await requestToken(dev, clientOf(dev, "lapsed")), 400);
  // intent, windows, aborted
  await read("telehealth", "Observation?patient=carl&_count=5");
  for (
    let tried = 0;
    tried < 20 && !(await old.records()).some(({ event }) => event.kind === "aborted");
    tried++
  ) {
    await old.leave("telehealth", "Observation?patient=carl&_count=25");
    await wait(1_000);
  }
  // write: create, update, patch, delete, conditional, refused, batch, transaction
  const { id: _id, ...fresh } = observation("new", "bela");
  must(await old.write("charting", "POST", "Observation", fresh), 201);
  must(
    await old.write("diary", "POST", "Observation", {
      ...fresh,
      subject: { reference: "Patient/amara-okafor" },
    }),
    201,
  );
  must(
    await old.write(
      "charting",
      "PUT",
      "Observation/to-update",
      observation("to-update", "bela", { status: "amended" }),
    ),
    200,
  );
  const patch = JSON.stringify([{ op: "replace", path: "/status", value: "amended" }]);
  const asPatch = { "content-type": "application/json-patch+json" };
  must(
    await old.ask("charting", "Observation/to-patch", { method: "PATCH", headers: asPatch, body: patch }),
    200,
  );
  must(await old.ask("charting", "Observation/to-delete", { method: "DELETE" }), 200, 204, 403);
  must(await old.write("charting", "PUT", "Observation/of-bela", observation("of-bela", "carl")), 403, 422);
  const entry = (method: string, url: string, resource?: object) => ({
    request: { method, url },
    ...(resource && { resource }),
  });
  for (const type of ["batch", "transaction"])
    must(
      await old.write("charting", "POST", "", {
        resourceType: "Bundle",
        type,
        entry: [entry("POST", "Observation", fresh), entry("GET", "Patient/carl")],
      }),
      200,
    );
  // notice, token, introspection, revocation
  must(await old.ask("telehealth", "metadata"), 200);
  must(await old.write("telehealth", "POST", "Observation/$validate", fresh), 200);
  const token = await accessToken(dev, clientOf(dev, "operations"));
  const about = { token, client_id: "operations" };
  must(await old.form("operations", `${dev.gateway}/oauth/introspect`, about), 200);
  must(await old.form("operations", `${dev.gateway}/oauth/revoke`, about), 200);
  // administration, accounting
  const file = join(folder, "wish.json");
  const command = (...args: readonly string[]) => old.command(...args, "--state", join(folder, "state"));
  writeFileSync(file, JSON.stringify({ agreements: [agreement] }));
  await command("registry", "apply", file);
  await command("revoke", "client", "tiny");
  await command("revoke", "client", "tiny", "--lift");
  await command("revoke", "client", "sampler");
  writeFileSync(file, JSON.stringify(suspension));
  await command("accounting", "suspend", file);
  rmSync(file);
  await read("privacy-officer", "Patient/bela/$disclosures");
  await read("patient-app", "Patient/amara-okafor/$disclosures?all=true");
  return receipts;
}

const agreement = {
  id: "payer-second-agreement",
  client: "payer",
  purposes: ["HPAYMT"],
  from: "2026-01-01T00:00:00Z",
  to: "2036-01-01T00:00:00Z",
  documentHash: "1".repeat(64),
};

const suspension = {
  id: "suspension-1",
  patient: "main/Patient/bela",
  recipient: "public-health",
  from: "2026-01-01T00:00:00Z",
  to: "2200-01-01T00:00:00Z",
  statement: "A health oversight agency says that the accounting would impede its activities.",
  oral: false,
};

/**
 * The questions for a later version: the checkpoints that it must have in its past, and the content of each
 * record.
 */
async function describe(
  old: OldVersion,
  folder: string,
  receipts: readonly string[],
  version: string,
): Promise<void> {
  const { dev } = old;
  mkdirSync(join(folder, "checkpoints"));
  for (const log of [...Object.keys(dev.logs), "root"]) {
    const response = await fetch(`${dev.ledger}/${log}/checkpoint`);
    if (response.ok) writeFileSync(join(folder, "checkpoints", log), await response.bytes());
  }
  await old.command(
    "ledger",
    "export",
    join(folder, "export"),
    dev.ledger,
    "--keys",
    join(folder, "state", "dev.json"),
  );
  const records = await old.records();
  const { logs, root, witnesses, ledgerName } = dev;
  const told = {
    version,
    madeAt: new Date().toISOString(),
    ledgerName,
    logs,
    root,
    witnesses,
    receipts,
    records,
  };
  writeFileSync(join(folder, "told.json"), `${JSON.stringify(told, undefined, 1)}\n`);
}

/** The fixture must contain no name of the machine that made it. */
function refuseOwnNames(folder: string, checkout: string): void {
  const folders = [
    checkout,
    folder,
    realpathSync(folder),
    process.cwd(),
    `${tmpdir()}/`,
    `${homedir()}/`,
  ].filter((name) => name !== "/root/"); // a log's name, too
  // a shorter name occurs in random bytes, too
  const names = hostname().length > 4 ? [...folders, hostname()] : folders;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    const found = names.find((name) => bytes.includes(name) || bytes.includes(Buffer.from(name, "utf16le")));
    if (found !== undefined) throw new Error(`${path.slice(folder.length)} names this machine: ${found}`);
  }
}

async function main(checkout: string, version: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "phylax-old-state-"));
  const [state, bundles] = [join(folder, "state"), join(folder, "bundles")];
  mkdirSync(bundles);
  writeFileSync(
    join(bundles, "all.ndjson"),
    `${resources.map((resource) => JSON.stringify(resource)).join("\n")}\n`,
  );
  const old = await OldVersion.start(checkout, state, bundles);
  try {
    const receipts = await drive(old, folder);
    await wait(copiedMilliseconds);
    // The records from here on are in the shards alone: not copied, their lines perhaps in no store.
    must(await old.ask("public-health", "Patient/carl"), 200);
    await describe(old, folder, receipts, version);
    must(await old.ask("public-health", "Patient/carl"), 200);
  } finally {
    await old.stop();
  }
  writeFileSync(
    join(folder, "records.json"),
    `${JSON.stringify(await recordVectors(checkout), undefined, 1)}\n`,
  );
  if (existsSync(join(state, "dev.json")) || existsSync(join(state, "running.pid")))
    throw new Error("it did not stop by itself");
  // The system's authorities and the stack's own: versions until November 2026 write this file at each start.
  rmSync(join(state, "pki", "trusted.pem"), { force: true });
  refuseOwnNames(folder, checkout);
  const file = resolve(import.meta.dirname, "..", "test", "fixtures", `state-${version}.tar.gz`);
  const order = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=2026-01-01"];
  execFileSync("tar", [...order, "-C", folder, "-c", "-f", `${folder}.tar`, "."]);
  execFileSync("gzip", ["-9", "-n", `${folder}.tar`]);
  mkdirSync(resolve(file, ".."), { recursive: true });
  writeFileSync(file, readFileSync(`${folder}.tar.gz`));
  rmSync(`${folder}.tar.gz`);
  rmSync(folder, { recursive: true });
  console.log(`${basename(file)}: ${statSync(file).size} bytes`);
}

const [given, name] = process.argv.slice(2);
if (given === undefined) {
  console.error("usage: node scripts/with-node.mjs scripts/make-old-state.ts CHECKOUT [VERSION]");
  process.exit(2);
}
const checkout = resolve(given);
await main(
  checkout,
  name ?? execFileSync("git", ["-C", checkout, "rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim(),
);
