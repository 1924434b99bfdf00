import { randomInt, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, test } from "vitest";
import { accessToken } from "../../cli/connection/access-token.ts";
import { clientOf, readDevFile } from "../../cli/connection/dev-file.ts";
import { closeConnections, send } from "../../cli/connection/mutual-tls.ts";
import { seeded } from "../../sandbox/synthetic/random.ts";
import { policyEntry, rule } from "../policy/granting.ts";
import { freePort } from "../support/free-port.ts";
import { type KillableStack, startKillable } from "../support/killable-stack.ts";
import { lane } from "../support/lane.ts";
import { startMedplumRouter } from "../support/medplum-router-server.ts";

// PHYLAX_CRASH_SEED repeats the moments of a run.
const seed = Number(process.env["PHYLAX_CRASH_SEED"] ?? randomInt(2 ** 31));
const kills = 20;
const rowsAtOnce = 4;

/** A write under a key. Its mark is a note of the row that the write makes or adds to. */
interface Keyed {
  readonly key: string;
  readonly mark: string;
  readonly method: "POST" | "PUT" | "PATCH";
  readonly id: string;
  readonly body: object;
}

interface Row {
  readonly id: string;
  readonly note: readonly { readonly text: string }[];
}

const rights = policyEntry("writers", [
  rule(["Patient", "Observation"], "everything", { interactions: ["read", "search", "create", "update"] }),
]);
const patient = "5ac0c0de-0000-4000-8000-0000000000a1";
const drafted = (notes: readonly object[]) => ({
  resourceType: "Observation",
  status: "final",
  code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
  subject: { reference: `Patient/${patient}` },
  effectiveDateTime: "2026-01-05",
  note: notes,
});

const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends.toReversed()) await end();
});

/** The writes of one row, one after the other: an open write is repeated under its key until it is answered. */
class Writer {
  readonly done: Keyed[] = [];
  #open: Keyed | undefined;
  #id = "";
  /** The notes of the row, as its writer knows them. */
  #notes: readonly object[] = [];
  readonly #random: ReturnType<typeof seeded>;

  constructor(random: ReturnType<typeof seeded>) {
    this.#random = random;
  }

  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  async step(ask: (write: Keyed) => Promise<{ status: number; id: string } | undefined>): Promise<void> {
    const write = (this.#open ??= this.#next());
    const reply = await ask(write);
    if (reply?.status !== 200 && reply?.status !== 201) return wait(reply === undefined ? 50 : 500);
    if (write.method === "POST") this.#id = reply.id;
    this.#notes = write.method === "POST" ? [{ text: write.mark }] : [...this.#notes, { text: write.mark }];
    this.done.push(write);
    this.#open = undefined;
  }

  #next(): Keyed {
    const [key, mark, method] = [randomUUID(), randomUUID(), this.#random.int(0, 4)];
    const note = { text: mark };
    const shared = { key, mark };
    if (this.#id === "" || method === 0) return { ...shared, method: "POST", id: "", body: drafted([note]) };
    if (method > 2)
      return {
        ...shared,
        method: "PATCH",
        id: this.#id,
        body: [{ op: "add", path: "/note/-", value: note }],
      };
    const body = { ...drafted([...this.#notes, note]), id: this.#id };
    return { ...shared, method: "PUT", id: this.#id, body };
  }
}

test.runIf(lane === "long")(
  `after ${kills} kills amid keyed creates, updates and patches at Medplum's router no write is done twice and none is lost`,
  { timeout: 10 * 60_000 + kills * 90_000 },
  async ({ expect }) => {
    console.log(`PHYLAX_CRASH_SEED=${seed}`);
    const random = seeded(seed);
    const server = await startMedplumRouter(await freePort());
    ends.push(() => server.close());
    const atServer = async (path: string, init: RequestInit = {}): Promise<{ entry?: { resource: Row }[] }> =>
      (await fetch(`${server.url}/${path}`, init)).json();
    const headers = { "content-type": "application/fhir+json" };
    const made = JSON.stringify({ resourceType: "Patient", id: patient });
    await atServer(`Patient/${patient}`, { method: "PUT", headers, body: made });

    const state = mkdtempSync(join(tmpdir(), "phylax-foreign-"));
    ends.push(() => rmSync(state, { recursive: true, force: true }));
    const registry = join(state, "foreign.json");
    const interactions = ["create", "read", "search-type", "update", "vread"];
    const search = ["_id", "code", "date", "subject", "patient"];
    const capabilities = {
      updateAsCreate: true,
      honoursIfMatchOnUpdate: true,
      honoursIfNoneExist: true,
      searchByPost: true,
      types: { Patient: { interactions, search: ["_id"] }, Observation: { interactions, search } },
    };
    const quotas = { default: { requests: 60_000, windowSeconds: 60 } };
    const grant = {
      client: "charting",
      purpose: "TREAT",
      agreement: "charting-agreement",
      policy: "writers",
    };
    const origin = { name: "foreign", url: server.url, credentials: { kind: "none" }, capabilities };
    const file = {
      policies: [rights],
      origins: [origin],
      grants: [{ origin: "foreign", scopes: "system/*.cruds", quotas, ...grant }],
    };
    writeFileSync(registry, JSON.stringify(file));
    const port = await freePort();
    let stack: KillableStack | undefined;
    ends.push(() => stack?.end());

    const start = async () => {
      stack = startKillable(port, state, server.url, ["--registry", registry]);
      await stack.ready;
      const dev = readDevFile(state);
      const client = clientOf(dev, "charting");
      const base = `${dev.gateway}/v1/fhir/foreign`;
      const token = await accessToken(dev, client, { resource: base });
      return async ({ key, method, id, body }: Keyed) => {
        try {
          const type = method === "PATCH" ? "application/json-patch+json" : "application/fhir+json";
          const reply = await send(dev, client, `${base}/Observation${id === "" ? "" : `/${id}`}`, {
            method,
            headers: {
              authorization: `Bearer ${token}`,
              "content-type": type,
              "idempotency-key": `"${key}"`,
            },
            body: JSON.stringify(body),
          });
          const { location } = reply.headers;
          const place = /Observation\/(?<id>[\w-]+)/u.exec(location ?? "")?.groups?.["id"] ?? id;
          if (reply.status >= 400 && ![409, 429, 503].includes(reply.status))
            throw new Error(`${method} ${reply.status} ${reply.text}`);
          return { status: reply.status, id: place };
        } catch (fault) {
          if (fault instanceof Error && /^(?:POST|PUT|PATCH) \d/u.test(fault.message)) throw fault;
          return undefined; // the connection is refused or broken
        }
      };
    };

    const writers = Array.from({ length: rowsAtOnce }, () => new Writer(random));
    for (let kill = 1; kill <= kills; kill++) {
      const ask = await start();
      const ending = new AbortController();
      const writing = writers.map(async (writer) => {
        while (!ending.signal.aborted) await writer.step(ask);
      });
      await wait(random.int(300, 4_000));
      const killed = random.int(0, 1) === 1 ? stack?.killAll() : stack?.killRuntime();
      await wait(100);
      ending.abort();
      await Promise.all(writing);
      await killed;
      await stack?.killAll();
      closeConnections();
      console.log(JSON.stringify({ kill, done: writers.map(({ done }) => done.length) }));
    }

    const ask = await start();
    // an attempt that was killed has its key for a minute at most
    for (const until = Date.now() + 150_000; Date.now() < until && writers.some(({ isOpen }) => isOpen);)
      for (const writer of writers) if (writer.isOpen) await writer.step(ask);
    expect(
      writers.filter(({ isOpen }) => isOpen),
      "each repeat settles",
    ).toEqual([]);

    const marks = async () => {
      const { entry = [] } = await atServer("Observation?_count=1000");
      return entry.flatMap(({ resource }) => resource.note.map(({ text }) => text));
    };
    const stored = await marks();
    const done = writers.flatMap((writer) => writer.done);
    const missing = done.filter(({ mark }) => !stored.includes(mark)).map(({ method }) => method);
    expect(missing, "none is lost").toEqual([]);
    expect(new Set(stored).size, "none is done twice").toBe(stored.length);
    expect(stored.length, "nothing else is there").toBe(done.length);
    // A second update has the same notes: only the versions of its row tell it.
    for (const id of new Set(done.map((write) => write.id).filter((each) => each !== ""))) {
      const { entry = [] } = await atServer(`Observation/${id}/_history?_count=1000`);
      const notes = entry.map(({ resource }) => resource.note.length);
      expect(new Set(notes).size, "each version adds a note").toBe(notes.length);
    }
    const methods = new Set(done.map(({ method }) => method));
    expect([methods.size, done.length > kills]).toEqual([3, true]);
    console.log(JSON.stringify({ kills, writes: done.length }));
  },
);
