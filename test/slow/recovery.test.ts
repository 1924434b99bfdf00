import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { afterAll, test } from "vitest";
import { parseReceipt } from "#ledger/read-receipt";
import { openCheckpoint } from "#ledger/tlog/checkpoint";
import { parseVerifierKey } from "#ledger/tlog/signed-note";
import { clientOf, operatorOf, readDevFile, type DevFile } from "../../cli/connection/dev-file.ts";
import { accessToken } from "../../cli/connection/access-token.ts";
import { closeConnections, send } from "../../cli/connection/mutual-tls.ts";
import { startOrigin, type Origin } from "../../sandbox/origin/server.ts";
import { syntheticResources } from "../../sandbox/synthetic/generate.ts";
import { phylaxProcess } from "../cli/phylax.ts";
import { freePort } from "../support/free-port.ts";
import { type KillableStack, startKillable } from "../support/killable-stack.ts";

// The drill of docs/deploy.md, "Backup and restore": a machine loses power, and a part of its storage is gone.

const state = mkdtempSync(join(tmpdir(), "phylax-recovery-"));
let origin: Origin | undefined;
let stack: KillableStack | undefined;
afterAll(async () => {
  closeConnections();
  await stack?.end();
  await origin?.close();
  rmSync(state, { recursive: true, force: true });
});

const runtime = join(state, "workers");
/** Deletes the stored files of a kind of object below the runtime's folder. */
function lose(kind: RegExp): number {
  const files = readdirSync(runtime, { recursive: true, encoding: "utf8" }).filter(
    (name) => kind.test(name) && /\.sqlite(?:-shm|-wal)?$/u.test(name),
  );
  for (const file of files) rmSync(join(runtime, file), { force: true });
  return files.length;
}

const asOperator = async (dev: DevFile, path: string, document?: object) =>
  send(dev, operatorOf(dev, "registrar"), `${dev.ops}/${path}`, {
    ...(document !== undefined && {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(document),
    }),
  });

/** A restored log, as the command prints it. */
interface RestoredLog {
  readonly log: string;
  readonly leaves: number;
  readonly standIn: string | null;
  readonly missing: { readonly first: number; readonly last: number } | null;
}

/** Reads as a client, and returns the receipt of the answer. */
async function receiptOf(dev: DevFile): Promise<string> {
  const client = clientOf(dev, "telehealth");
  const authorization = `Bearer ${await accessToken(dev, client)}`;
  const reply = await send(dev, client, `${dev.fhir}/Patient/amara-okafor`, { headers: { authorization } });
  const receipt = reply.headers["phylax-receipt"];
  if (reply.status !== 200 || typeof receipt !== "string") throw new Error(`${reply.status} ${reply.text}`);
  return receipt;
}

async function clientsIn(dev: DevFile): Promise<Readonly<Record<string, object>>> {
  const { text } = await asOperator(dev, "api/registry");
  const { registry }: { registry: { clients: readonly { id: string }[] } } = JSON.parse(text);
  return Object.fromEntries(registry.clients.map((client) => [client.id, client]));
}

test(
  "the control database is lost: the ledger gives back every change that an operator made",
  { timeout: 300_000 },
  async ({ expect }) => {
    const server = (origin = await startOrigin());
    await server.load(syntheticResources());
    const port = await freePort();
    const start = () => (stack = startKillable(port, state, server.url));
    await start().ready;
    const dev = readDevFile(state);
    const newcomer = (id: string, status: string) => ({
      clients: [{ id, kind: "payer", status, auth: "tls_client_auth", certificates: [id.padEnd(43, "N")] }],
    });
    expect((await asOperator(dev, "api/registry", newcomer("one", "active"))).status).toBe(200);
    expect((await asOperator(dev, "api/registry", newcomer("two", "active"))).status).toBe(200);
    const change = { set: newcomer("two", "suspended") };
    const planned: { digest: string } = JSON.parse((await asOperator(dev, "api/registry/plan", change)).text);
    const last = await asOperator(dev, "api/registry/changes", { ...change, expects: planned.digest });
    expect(last.status, last.text).toBe(200);
    const before = await clientsIn(dev);

    const lostAt = Date.now();
    await stack?.killAll();
    expect(lose(/D1DatabaseObject/u)).toBeGreaterThan(0);
    await start().ready;
    const empty = readDevFile(state);
    expect(Object.keys(await clientsIn(empty))).not.toContain("one"); // the sandbox seeds its own clients alone

    const file = join(state, "restored.json");
    const key = String(dev.auditors[0]?.key);
    const restored = await phylaxProcess(
      state,
      "restore",
      "registry",
      file,
      "--key",
      key,
      "--keys",
      join(state, "dev.json"),
      "--json",
    );
    expect(restored.error).toBe("");
    expect(JSON.parse(restored.out)).toMatchObject({ good: true, changes: 3, open: [], gaps: [] });
    const applied = await asOperator(empty, "api/registry", JSON.parse(readFileSync(file, "utf8")));
    expect(applied.status, applied.text).toBe(200);
    const after = await clientsIn(empty);
    expect([after["one"], after["two"]]).toEqual([before["one"], before["two"]]);
    console.log(`control database: RPO 0 changes, RTO ${Date.now() - lostAt} ms`);
  },
);

test(
  "the storage of the shards is lost: all but the last minute verifies, and a receipt of that minute names a leaf beyond the copy",
  { timeout: 300_000 },
  async ({ expect }) => {
    const dev = readDevFile(state);
    // A log that begins in the last minute has nothing in R2. Chance chooses one of the client's four logs for each
    // quarter of a second, so forty requests leave a log without an early record once in 20,000 runs.
    let early = "";
    for (let request = 0; request < 40; request += 1) {
      early = await receiptOf(dev);
      await wait(260);
    }
    await wait(65_000); // the promise: within a minute a record's copy is in R2
    const late = await receiptOf(dev);
    const [first, last] = [early, late].map((text) => {
      const receipt = parseReceipt(text);
      if (!receipt.ok) throw new Error(text);
      return receipt.value;
    });
    if (first === undefined || last === undefined) throw new Error("no receipts");
    const lostAt = Date.now();
    await stack?.killAll();
    expect(lose(/LedgerShard/u)).toBeGreaterThan(0);

    // The copy in R2: its signed checkpoint covers everything older than a minute, and the late receipt names a
    // leaf beyond it.
    const sizes = new Map<string, number>();
    const bucket = new Miniflare(
      convertV4MiniflareOptions({
        modules: true,
        script: "export default {}",
        r2Buckets: { BUCKET: "phylax-ledger" },
        resourcePersistencePath: runtime,
      }),
    );
    try {
      const stored = await bucket.getR2Bucket("BUCKET");
      for (const [log, key] of Object.entries(dev.logs)) {
        const verifier = parseVerifierKey(key);
        const object = await stored.get(`checkpoint/${dev.ledgerName}/${log}`);
        if (!verifier.ok || object === null) continue;
        const opened = openCheckpoint(new Uint8Array(await object.arrayBuffer()), verifier.value);
        if (opened.ok) sizes.set(log, opened.value.size);
      }
    } finally {
      await bucket.dispose();
    }
    expect(sizes.get(first.log)).toBeGreaterThan(first.index);
    expect(sizes.get(last.log) ?? 0).toBeLessThanOrEqual(last.index);
    console.log(
      `${last.log}: leaves ${sizes.get(last.log) ?? 0} to ${last.index} of the last minute are lost`,
    );

    // The stack starts, and the logs refuse to go on: an empty log under an old name would hide the loss (P5).
    stack = startKillable(Number(new URL(dev.gateway).port), state, origin?.url ?? "");
    await stack.ready;
    const again = readDevFile(state);
    await expect(receiptOf(again)).rejects.toThrow("503");
    const { text } = await send(again, undefined, `${again.gateway}/readyz`);
    const { logs }: { logs: Record<string, string> } = JSON.parse(text);
    expect(logs[last.log]).toMatch(/^(?:refusing|unreachable)$/u);
    const keys = ["--keys", join(state, "dev.json")];
    const told = await phylaxProcess(state, "ledger", "verify", again.ledger, ...keys, "--log", "root");
    expect(told.out, told.error).toMatch(/^root: good: /mu);

    // An operator restores each lost log. Its stand-in takes the further records, and the lost range is named.
    const operator = ["--state", state, "--operator", "registrar", "--json"];
    const receipts = [early, late].flatMap((text) => ["--receipt", text]);
    const restored = await phylaxProcess(state, "restore", "ledger", ...operator, ...receipts);
    expect(restored.error).toBe("");
    const restoredLogs: readonly RestoredLog[] = JSON.parse(restored.out).logs;
    for (const { log, leaves, standIn } of restoredLogs) {
      expect(leaves).toBe(sizes.get(log) ?? 0);
      expect(standIn).toBe(log.replace(/^s/u, "s1000"));
    }
    const lost = restoredLogs.find(({ log }) => log === last.log);
    expect(lost?.missing).toMatchObject({ first: sizes.get(last.log) ?? 0 });
    expect(lost?.missing?.last).toBeGreaterThanOrEqual(last.index);
    const checked = ["ledger", "verify", again.ledger, ...keys, "--log", last.log, "--receipt", late];
    const named = await phylaxProcess(state, ...checked);
    expect(named.error).toMatch(
      new RegExp(`: lea(?:f|ves) ${sizes.get(last.log) ?? 0}(?: to \\d+)? (?:is|are) missing`, "u"),
    );
    const next = parseReceipt(await receiptOf(again));
    expect(next.ok && next.value.log).toMatch(/^s1000\d-/u);
    console.log(`shards: RPO at most 60 s, known ${Date.now() - lostAt} ms after the loss`);
  },
);
