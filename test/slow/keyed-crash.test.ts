import { randomInt, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, test } from "vitest";
import { accessToken } from "../../cli/connection/access-token.ts";
import { clientOf, readDevFile, type DevFile } from "../../cli/connection/dev-file.ts";
import { closeConnections, send } from "../../cli/connection/mutual-tls.ts";
import { startOrigin, type Origin } from "../../sandbox/origin/server.ts";
import { seeded } from "../../sandbox/synthetic/random.ts";
import { freePort } from "../support/free-port.ts";
import { type KillableStack, startKillable } from "../support/killable-stack.ts";
import { inLane } from "../support/lane.ts";

// PHYLAX_CRASH_SEED repeats the moments of a run.
const seed = Number(process.env["PHYLAX_CRASH_SEED"] ?? randomInt(2 ** 31));
const system = "urn:phylax:keyed-load";
const writersAtOnce = 6;

const kinds = [
  ["update-as-create", { updateAsCreate: true }, inLane({ fast: 1, slow: 3, long: 17 })],
  ["if-none-exist", { honoursIfNoneExist: true }, inLane({ fast: 1, slow: 3, long: 17 })],
  ["plain", { updateAsCreate: false }, inLane({ fast: 1, slow: 3, long: 16 })],
] as const;

/** A create under a key, and its last answer. */
interface Keyed {
  readonly name: string;
  readonly key: string;
  status: number | undefined;
  /** 409 that a repeat does not change. */
  isUnknown: boolean;
}

const folders: string[] = [];
const ends: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

test.for(kinds)(
  "%s: after kills amid keyed creates each acknowledged create is at the origin once, no create is there twice, and each repeat settles",
  { timeout: 30 * 60_000 },
  async ([kind, capabilities, kills], { expect }) => {
    console.log(`PHYLAX_CRASH_SEED=${seed}`);
    const random = seeded(seed);
    const state = mkdtempSync(join(tmpdir(), `phylax-keyed-${kind}-`));
    folders.push(state);
    // it outlives every kill, as another company's server does
    const origin: Origin = await startOrigin();
    await origin.load([{ resourceType: "Patient", id: "amara" }]);
    const registry = join(state, "origin.json");
    const entry = { name: "main", url: origin.url, credentials: { kind: "none" }, capabilities };
    writeFileSync(registry, JSON.stringify({ origins: [entry] }));
    const port = await freePort();
    let stack: KillableStack | undefined;
    const start = () => (stack = startKillable(port, state, origin.url, ["--registry", registry]));
    ends.push(
      async () => stack?.end(),
      () => origin.close(),
    );

    const all: Keyed[] = [];
    const open = () => all.filter(({ status, isUnknown }) => status !== 201 && !isUnknown);
    for (let kill = 1; kill <= kills; kill++) {
      await start().ready;
      const dev = readDevFile(state);
      const token = await accessToken(dev, clientOf(dev, "charting"));
      const ending = new AbortController();
      const writers = Array.from({ length: writersAtOnce }, async () => {
        while (!ending.signal.aborted) {
          const earlier = open();
          const isRepeat = earlier.length > 0 && random.int(0, 2) === 0;
          const one = isRepeat ? earlier[random.int(0, earlier.length - 1)] : created(all);
          if (one !== undefined) await ask(dev, token, one);
        }
      });
      await wait(random.int(300, 4_000));
      const killed = random.int(0, 1) === 1 ? stack?.killAll() : stack?.killRuntime();
      await wait(100);
      ending.abort();
      await Promise.all(writers);
      await killed;
      await stack?.killAll();
      closeConnections();
      const [done, left] = [all.filter(({ status }) => status === 201).length, open().length];
      console.log(JSON.stringify({ kind, kill, all: all.length, done, left }));
    }

    await start().ready;
    const dev = readDevFile(state);
    const token = await accessToken(dev, clientOf(dev, "charting"));
    // an attempt that was killed has its key for a minute at most
    for (const until = Date.now() + 150_000; open().length > 0 && Date.now() < until; await wait(1_000))
      for (const one of open()) await ask(dev, token, one);
    expect(open(), "each repeat settles").toEqual([]);

    const held = await namesAt(origin.url);
    expect(new Set(held).size, "no create is there twice").toBe(held.length);
    const there = new Set(held);
    const acknowledged = all.filter(({ status }) => status === 201);
    expect(acknowledged.length).toBeGreaterThan(kills);
    expect(acknowledged.filter(({ name }) => !there.has(name))).toEqual([]);
    if (kind !== "plain") expect(acknowledged.length, "each create is done").toBe(all.length);
    await stack?.end();
    await origin.close();
  },
);

const repeatsAtOnce = inLane({ fast: 50, slow: 300, long: 1_000 });

test.for(kinds)(
  `%s: of ${repeatsAtOnce} concurrent repeats of a keyed create one is sent, also when the gateway is killed between the origin and its answer`,
  { timeout: 20 * 60_000 },
  async ([kind, capabilities], { expect }) => {
    const state = mkdtempSync(join(tmpdir(), `phylax-repeats-${kind}-`));
    folders.push(state);
    const origin: Origin = await startOrigin();
    await origin.load([{ resourceType: "Patient", id: "amara" }]);
    const holding = await startHolding(origin.url);
    const registry = join(state, "origin.json");
    const entry = {
      name: "main",
      url: holding.url,
      alsoKnownAs: [origin.url],
      credentials: { kind: "none" },
      capabilities,
    };
    writeFileSync(registry, JSON.stringify({ origins: [entry] }));
    const port = await freePort();
    const start = () => startKillable(port, state, holding.url, ["--registry", registry]);
    let stack = start();
    ends.push(
      () => stack.end(),
      () => holding.close(),
      () => origin.close(),
    );
    const one: Keyed = { name: randomUUID(), key: randomUUID(), status: undefined, isUnknown: false };
    /** Each repeat goes on until the key is settled: 429 and 409 with Retry-After say to come again. */
    const repeats = async (ending: AbortSignal) => {
      const dev = readDevFile(state);
      const token = await accessToken(dev, clientOf(dev, "charting"));
      const until = Date.now() + 300_000;
      return Promise.all(
        Array.from({ length: repeatsAtOnce }, async () => {
          const mine = { ...one };
          while (mine.status !== 201 && !mine.isUnknown && Date.now() < until && !ending.aborted) {
            await ask(dev, token, mine);
            if (mine.status !== 201 && !mine.isUnknown) await wait(500);
          }
          return mine.isUnknown ? "unknown" : String(mine.status);
        }),
      );
    };

    await stack.ready;
    const ending = new AbortController();
    const first = repeats(ending.signal);
    await holding.held;
    ending.abort();
    await stack.killAll();
    await first;
    closeConnections();
    expect(await namesAt(origin.url), "the origin did it, and its answer was lost").toEqual([one.name]);

    holding.letThrough();
    stack = start();
    await stack.ready;
    const ended = await repeats(new AbortController().signal);
    // the outcome of an origin of the plain kind stays unknown, and the follow-up finds it
    expect(new Set(ended)).toEqual(new Set([kind === "plain" ? "unknown" : "201"]));
    expect(ended).toHaveLength(repeatsAtOnce);
    expect(await namesAt(origin.url), "it is there once").toEqual([one.name]);
    expect(holding.creates, "plain is sent once; else the origin was asked again").toBeLessThanOrEqual(
      kind === "plain" ? 1 : 2,
    );
    await stack.end();
  },
);

/** Stands before a FHIR server, and holds back the answer to the first create until it is told otherwise. */
async function startHolding(target: string) {
  const state = { creates: 0, holds: true };
  let hold: () => void = () => {};
  const held = new Promise<void>((resolve) => (hold = resolve));
  const server = createServer((request, response) => {
    const pass = async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = "GET", url = "/" } = request;
      const headers = new Headers();
      for (const name of ["accept", "content-type", "if-none-exist", "if-none-match", "if-match", "prefer"]) {
        const value = request.headers[name];
        if (typeof value === "string") headers.set(name, value);
      }
      const body = method === "GET" ? null : Buffer.concat(chunks);
      const answer = await fetch(new URL(target).origin + url, { method, headers, body });
      const text = await answer.text();
      const isCreate = method !== "GET" && !url.endsWith("/_search");
      if (isCreate) state.creates += 1;
      if (isCreate && state.holds) return hold();
      const fields = [...answer.headers].filter(([name]) => /^(?:content-type|location|etag)$/u.test(name));
      response.writeHead(answer.status, Object.fromEntries(fields)).end(text);
    };
    pass().catch(() => response.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has one
  return {
    url: `http://127.0.0.1:${port}${new URL(target).pathname}`,
    held,
    letThrough: () => void (state.holds = false),
    get creates() {
      return state.creates;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function created(all: Keyed[]): Keyed {
  const one = { name: randomUUID(), key: randomUUID(), status: undefined, isUnknown: false };
  all.push(one);
  return one;
}

async function ask(dev: DevFile, token: string, one: Keyed): Promise<void> {
  const resource = {
    resourceType: "Observation",
    status: "final",
    identifier: [{ system, value: one.name }],
    category: [
      {
        coding: [
          { system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" },
        ],
      },
    ],
    code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
    subject: { reference: "Patient/amara" },
    effectiveDateTime: "2026-01-05",
  };
  try {
    const reply = await send(dev, clientOf(dev, "charting"), `${dev.fhir}/Observation`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/fhir+json",
        "idempotency-key": `"${one.key}"`,
        prefer: "return=minimal",
      },
      body: JSON.stringify(resource),
    });
    one.status = reply.status;
    one.isUnknown = reply.status === 409 && reply.headers["retry-after"] === undefined;
  } catch {
    await wait(50); // the connection is refused or broken
  }
}

interface Page {
  readonly entry?: readonly {
    readonly resource: {
      readonly identifier: readonly { readonly system: string; readonly value: string }[];
    };
  }[];
  readonly link?: readonly { readonly relation: string; readonly url: string }[];
}

async function namesAt(origin: string): Promise<string[]> {
  const names: string[] = [];
  let next: string | undefined =
    `${origin}/Observation?identifier=${encodeURIComponent(`${system}|`)}&_count=1000`;
  while (next !== undefined) {
    const page: Page = await (await fetch(next)).json();
    for (const { resource } of page.entry ?? [])
      names.push(...resource.identifier.flatMap((one) => (one.system === system ? [one.value] : [])));
    next = page.link?.find(({ relation }) => relation === "next")?.url;
  }
  return names;
}
