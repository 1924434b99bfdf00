import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { sampleResources } from "../data/payloads.ts";
import { ratioOf, type Measure, type Pair } from "../measures.ts";
import type { Duration } from "../options.ts";
import type { Running } from "../process/process.ts";
import { embed } from "../workerd/capnp.ts";
import { bundleWorker, serveConfig } from "../workerd/serve.ts";
import { redactCases, type RedactCase } from "./cases.ts";
import type { RedactTask } from "./redact-worker.ts";

/** CPU microseconds that each turn should take: long beside the request that orders it. */
const turnMicros: Readonly<Record<Duration, number>> = { full: 200_000, quick: 100_000, short: 5_000 };
/** CPU microseconds of each kind before the first turn: the runtime compiles what runs often. */
const warmMicros: Readonly<Record<Duration, number>> = { full: 1_000_000, quick: 700_000, short: 0 };
// Each round has some turns of either kind in a row, so that other work of the machine affects both alike.
export const turnsOf: Readonly<Record<Duration, number>> = { full: 3, quick: 3, short: 1 };

// With the turns of a round: eleven pairs or more, also with --quick.
const consentRounds = 4;

/**
 * The speed of the disclosure engine in raw workerd: bytes of an origin's answer in, bytes that may leave out,
 * with every check and capture, by `Discloser` as the gateway calls it. It is compared with decoding, JSON.parse,
 * JSON.stringify and encoding of the same bytes.
 */
export async function runRedactGroup(
  folder: string,
  duration: Duration,
  rounds: number,
): Promise<readonly Measure[]> {
  const place = join(folder, "redact");
  mkdirSync(place);
  const { url, running } = await serveEngine(place);
  const worker = engineAt(url, running);
  const measures: Measure[] = [];
  for (const one of redactCases(await sampleResources())) {
    console.error(`${one.id}: ${one.body.length} bytes …`);
    await worker.load(one);
    check(one, await worker.bytesOf("engine"));
    measures.push(ratioOf(one.id, await measureCase(worker, ["engine", "json"], duration, rounds)));
    if (one.id === "redact-1500k") {
      if ((await worker.bytesOf("windows")) !== (await worker.bytesOf("engine")))
        throw new Error("the bytes depend on the pieces in which the body arrives");
      const share = await measureCase(worker, ["windows", "engine"], duration, rounds);
      measures.push(ratioOf("redact-stream-share", share));
    }
    if (one.patient === undefined) continue;
    if ((await worker.bytesOf("consented")) !== (await worker.bytesOf("engine")))
      throw new Error(`${one.id}: the Consent changes the answer`);
    const paired = await measureCase(
      worker,
      ["consented", "engine"],
      duration,
      Math.max(rounds, consentRounds),
    );
    measures.push(ratioOf("redact-60k-consent-share", paired));
  }
  return measures;
}

/** A served engine: the driver of `redact-worker.ts`, with the CPU time of its process. */
export interface Engine {
  load(one: RedactCase): Promise<void>;
  bytesOf(how: RedactTask["how"]): Promise<string>;
  /** CPU microseconds each time. */
  time(how: RedactTask["how"], times: number): Promise<number>;
}

/** Serves the engine of this tree in raw workerd, with its files in a folder. */
export async function serveEngine(
  folder: string,
): Promise<{ readonly url: string; readonly running: Running }> {
  const script = await bundleWorker(join(import.meta.dirname, "redact-worker.ts"), folder);
  const worker = {
    modules: [{ name: "redact.js", esModule: embed(script) }],
    compatibilityDate: "2026-10-01",
  };
  const running: Running = await serveConfig(
    folder,
    "redact",
    {
      services: [{ name: "redact", worker }],
      sockets: [{ name: "http", address: "127.0.0.1:0", http: {}, service: "redact" }],
    },
    ["http"],
  );
  return { url: `http://127.0.0.1:${running.ready["http"]}/`, running };
}

export function engineAt(url: string, running: Pick<Running, "cpuMicros">): Engine {
  const send = async (method: string, content: unknown) => {
    const response = await fetch(url, { method, body: JSON.stringify(content) });
    if (!response.ok) throw new Error(`redact: ${response.status} ${await response.text()}`);
    return await response.text();
  };
  return {
    load: async (one) => void (await send("PUT", one)),
    bytesOf: (how) => send("POST", { how, times: 1, show: true } satisfies RedactTask),
    async time(how, times) {
      const before = running.cpuMicros();
      await send("POST", { how, times, show: false } satisfies RedactTask);
      return (running.cpuMicros() - before) / times;
    },
  };
}

/** Speeds, so a ratio above 1 says that the first is faster: `a` and `b` are runs a CPU second. */
async function measureCase(
  worker: Engine,
  [first, second]: readonly [RedactTask["how"], RedactTask["how"]],
  duration: Duration,
  rounds: number,
): Promise<readonly Pair[]> {
  for (const how of [first, second]) await warmEngine(worker, how, duration);
  const firstTimes = await timesFor(worker, first, duration);
  const secondTimes = await timesFor(worker, second, duration);
  const pairs: Pair[] = [];
  for (let turn = 0; turn < rounds * turnsOf[duration]; turn++) {
    const one = await worker.time(first, firstTimes);
    const other = await worker.time(second, secondTimes);
    pairs.push({ a: 1_000_000 / one, b: 1_000_000 / other });
  }
  return pairs;
}

/** How often a turn repeats its work. */
export async function timesFor(worker: Engine, how: RedactTask["how"], duration: Duration): Promise<number> {
  for (let times = 1; ; times *= 2) {
    const each = await worker.time(how, times);
    if (each * times >= turnMicros[duration] / 2) return Math.max(1, Math.round(turnMicros[duration] / each));
  }
}

export async function warmEngine(worker: Engine, how: RedactTask["how"], duration: Duration): Promise<void> {
  const times = await timesFor(worker, how, duration);
  for (let spent = 0; spent < warmMicros[duration];) spent += times * (await worker.time(how, times));
}

interface Bundle {
  readonly entry: readonly { readonly resource: unknown }[];
}

/** The engine has to do its work: a share of the bytes leaves, and where all is shown, all of it. */
function check({ id, body, share, originBase }: RedactCase, out: string): void {
  const found = out.length / body.length;
  console.error(`${id}: ${(100 * found).toFixed(0)} % of the bytes leave`);
  // The lists of the views are made for Synthea's resources; the project's own have longer narratives.
  if (found < share - 0.25 || found > share + 0.1)
    throw new Error(`${id}: ${found} of the bytes leave, not ${share}`);
  if (share < 1) return;
  const [given, left]: readonly Bundle[] = [body, out].map((text) => JSON.parse(text));
  const resources = (bundle: Bundle | undefined) => bundle?.entry.map(({ resource }) => resource);
  if (out.includes(originBase) || !isDeepStrictEqual(resources(given), resources(left)))
    throw new Error(`${id}: the engine changes what it should keep`);
}
