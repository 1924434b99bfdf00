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
import { starterPolicy } from "../support/outside.ts";

// PHYLAX_CRASH_SEED repeats the moments of a run.
const seed = Number(process.env["PHYLAX_CRASH_SEED"] ?? randomInt(2 ** 31));
const system = "urn:phylax:keyed-load";
/** At an origin of each kind. */
const writersAtOnce = 2;

/** The kinds of origins, by the way in which a create under a key is done once there. One stack has one of each. */
const capabilitiesOf = {
  "update-as-create": { updateAsCreate: true },
  "if-none-exist": { honoursIfNoneExist: true },
  plain: { updateAsCreate: false },
} as const;
type Kind = keyof typeof capabilitiesOf;
const kinds = Object.keys(capabilitiesOf) as readonly Kind[];
/** The origin of a kind: its name in the registry. The first is the origin that `npm start` names. */
const nameOf = (kind: Kind) => (kind === kinds[0] ? "main" : kind);

/** A create under a key, and its last answer. */
interface Keyed {
  readonly name: string;
  readonly key: string;
  status: number | undefined;
  /** 409 that a repeat does not change. */
  isUnknown: boolean;
  /** The answer says when to come again. */
  retryAfterSeconds?: number | undefined;
}

const folders: string[] = [];
const ends: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const end of ends) await end();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A FHIR server that outlives every kill, as another company's server does. */
async function startServer(): Promise<Origin> {
  const origin = await startOrigin();
  ends.push(() => origin.close());
  await origin.load([{ resourceType: "Patient", id: "amara" }]);
  return origin;
}

interface Base {
  readonly url: string;
  readonly alsoKnownAs?: readonly string[];
}

/** A stack that starts again and again on one state, in front of an origin of each kind. */
async function stackBefore(bases: ReadonlyMap<Kind, Base>) {
  const state = mkdtempSync(join(tmpdir(), "phylax-keyed-"));
  folders.push(state);
  const grant = { client: "charting", purpose: "TREAT", agreement: "charting-agreement", policy: "treat" };
  const quotas = { default: { requests: 60_000, windowSeconds: 60 } };
  const file = {
    policies: [starterPolicy("treat")],
    origins: [...bases].map(([kind, base]) =>
      Object.assign({ name: nameOf(kind), credentials: { kind: "none" } }, base, {
        capabilities: capabilitiesOf[kind],
      }),
    ),
    // the demonstration has the grant of the first
    grants: kinds
      .slice(1)
      .map((kind) => Object.assign({ origin: nameOf(kind), scopes: "system/*.cruds", quotas }, grant)),
  };
  const registry = join(state, "origins.json");
  writeFileSync(registry, JSON.stringify(file));
  const port = await freePort();
  const [first] = bases.values();
  let stack: KillableStack | undefined;
  ends.push(async () => stack?.end());
  return {
    /** Starts it, and answers how the client creates at an origin of a kind. */
    async start(): Promise<(kind: Kind, one: Keyed) => Promise<void>> {
      stack = startKillable(port, state, first?.url ?? "", ["--registry", registry]);
      await stack.ready;
      const dev = readDevFile(state);
      const callers = new Map<Kind, { readonly base: string; readonly token: string }>();
      for (const kind of kinds) {
        const base = `${dev.gateway}/v1/fhir/${nameOf(kind)}`;
        callers.set(kind, {
          base,
          token: await accessToken(dev, clientOf(dev, "charting"), { resource: base }),
        });
      }
      return (kind, one) => create(dev, callers.get(kind) ?? { base: "", token: "" }, one);
    },
    async kill(isWhole: boolean): Promise<void> {
      if (isWhole) return stack?.killAll();
      stack?.killRuntime();
    },
    /** Ends what is left of it. */
    async clear(): Promise<void> {
      await stack?.killAll();
      closeConnections();
    },
  };
}

const kills = inLane({ fast: 1, slow: 3, long: 50 });

test(
  `after ${kills} kills amid keyed creates at an origin of each kind each acknowledged create is there once, no create is there twice, and each repeat settles`,
  { timeout: 10 * 60_000 + kills * 60_000 },
  async ({ expect }) => {
    console.log(`PHYLAX_CRASH_SEED=${seed}`);
    const random = seeded(seed);
    const origins = new Map<Kind, Origin>();
    for (const kind of kinds) origins.set(kind, await startServer());
    const stack = await stackBefore(origins);

    const made = new Map(kinds.map((kind): [Kind, Keyed[]] => [kind, []]));
    const allOf = (kind: Kind) => made.get(kind) ?? [];
    const openOf = (kind: Kind) =>
      allOf(kind).filter(({ status, isUnknown }) => status !== 201 && !isUnknown);
    for (let kill = 1; kill <= kills; kill++) {
      const ask = await stack.start();
      const ending = new AbortController();
      const writers = kinds.flatMap((kind) =>
        Array.from({ length: writersAtOnce }, async () => {
          while (!ending.signal.aborted) {
            const earlier = openOf(kind);
            const isRepeat = earlier.length > 0 && random.int(0, 2) === 0;
            const one = isRepeat ? earlier[random.int(0, earlier.length - 1)] : created(allOf(kind));
            if (one !== undefined) await ask(kind, one);
          }
        }),
      );
      await wait(random.int(300, 4_000));
      const killed = stack.kill(random.int(0, 1) === 1);
      await wait(100);
      ending.abort();
      await Promise.all(writers);
      await killed;
      await stack.clear();
      const counts = kinds.map((kind) => [kind, allOf(kind).length, openOf(kind).length]);
      console.log(JSON.stringify({ kill, counts }));
    }

    const ask = await stack.start();
    const open = () => kinds.flatMap((kind) => openOf(kind).map((one) => ({ kind, one })));
    // an attempt that was killed has its key for a minute at most
    for (const until = Date.now() + 150_000; open().length > 0 && Date.now() < until; await wait(1_000))
      for (const { kind, one } of open()) await ask(kind, one);
    expect(open(), "each repeat settles").toEqual([]);

    for (const kind of kinds) {
      const held = await namesAt(origins.get(kind)?.url ?? "");
      const there = new Set(held);
      expect(there.size, `${kind}: no create is there twice`).toBe(held.length);
      const acknowledged = allOf(kind).filter(({ status }) => status === 201);
      expect(acknowledged.length, kind).toBeGreaterThan(kills);
      expect(acknowledged.filter(({ name }) => !there.has(name))).toEqual([]);
      if (kind !== "plain")
        expect(acknowledged.length, `${kind}: each create is done`).toBe(allOf(kind).length);
    }
    await stack.clear();
  },
);

const repeatsAtOnce = inLane({ fast: 50, slow: 300, long: 1_000 });

test(
  `of ${repeatsAtOnce} concurrent repeats of a keyed create at an origin of each kind one is sent, also when the gateway is killed between the origin and its answer`,
  { timeout: 20 * 60_000 },
  async ({ expect }) => {
    const scenes = new Map<
      Kind,
      { readonly origin: Origin; readonly holding: Holding; readonly one: Keyed }
    >();
    for (const kind of kinds) {
      const origin = await startServer();
      const holding = await startHolding(origin.url);
      ends.push(() => holding.close());
      const one = { name: randomUUID(), key: randomUUID(), status: undefined, isUnknown: false };
      scenes.set(kind, { origin, holding, one });
    }
    const stack = await stackBefore(
      new Map(
        [...scenes].map(([kind, { origin, holding }]) => [
          kind,
          { url: holding.url, alsoKnownAs: [origin.url] },
        ]),
      ),
    );
    /** Each repeat goes on until the key is settled: 429 and 409 with Retry-After say when to come again. */
    const repeats = (
      ask: Awaited<ReturnType<typeof stack.start>>,
      kind: Kind,
      one: Keyed,
      ending: AbortSignal,
    ) =>
      Promise.all(
        Array.from({ length: repeatsAtOnce }, async () => {
          const mine = { ...one };
          const until = Date.now() + 300_000;
          while (Date.now() < until && !ending.aborted) {
            await ask(kind, mine);
            if (mine.status === 201 || mine.isUnknown) break;
            await wait((mine.retryAfterSeconds ?? 1) * 1_000, undefined, { signal: ending }).catch(
              () => undefined,
            );
          }
          return mine.isUnknown ? "unknown" : String(mine.status);
        }),
      );

    const [before, ending] = [await stack.start(), new AbortController()];
    const first = [...scenes].map(([kind, { one }]) => repeats(before, kind, one, ending.signal));
    await Promise.all([...scenes.values()].map(({ holding }) => holding.held));
    ending.abort();
    await stack.kill(true);
    await Promise.all(first);
    await stack.clear();
    for (const [kind, { origin, one }] of scenes)
      expect(await namesAt(origin.url), `${kind}: the origin did it, and its answer was lost`).toEqual([
        one.name,
      ]);

    for (const { holding } of scenes.values()) holding.letThrough();
    const after = await stack.start();
    const never = new AbortController().signal;
    await Promise.all(
      [...scenes].map(async ([kind, { origin, holding, one }]) => {
        const ended = await repeats(after, kind, one, never);
        // the outcome of an origin of the plain kind stays unknown, and the follow-up finds it
        expect(new Set(ended), kind).toEqual(new Set([kind === "plain" ? "unknown" : "201"]));
        expect(ended).toHaveLength(repeatsAtOnce);
        expect(await namesAt(origin.url), `${kind}: it is there once`).toEqual([one.name]);
        expect(
          holding.creates,
          `${kind}: plain is sent once; else the origin was asked again`,
        ).toBeLessThanOrEqual(kind === "plain" ? 1 : 2);
      }),
    );
    await stack.clear();
  },
);

type Holding = Awaited<ReturnType<typeof startHolding>>;

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

async function create(
  dev: DevFile,
  { base, token }: { readonly base: string; readonly token: string },
  one: Keyed,
): Promise<void> {
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
    const reply = await send(dev, clientOf(dev, "charting"), `${base}/Observation`, {
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
    const { "retry-after": retryAfter } = reply.headers;
    one.isUnknown = reply.status === 409 && retryAfter === undefined;
    one.retryAfterSeconds = retryAfter === undefined ? undefined : Number(retryAfter);
  } catch {
    one.retryAfterSeconds = undefined;
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
