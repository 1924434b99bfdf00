import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  payloadNames,
  sampleResources,
  writePayloads,
  type Payload,
  type PayloadName,
} from "../data/payloads.ts";
import { startGenerator, type Generator } from "../load/order.ts";
import { differenceOf, ratioOf, type Measure, type Pair } from "../measures.ts";
import type { Duration } from "../options.ts";
import { startStock, startTuned } from "../peers/fastify.ts";
import type { Peer, PeerName } from "../peers/peer.ts";
import { startPhylax, type Phylax } from "../peers/phylax.ts";
import { startProxy } from "../peers/proxy.ts";
import { start } from "../process/process.ts";
import type { Deployment } from "../workerd/serve.ts";
import { checkAnswers, type Expected } from "./check.ts";
import { measure, plans, warm, type Figure, type Load, type Pace } from "./measure.ts";

/** All results of the group of requests. */
export interface RequestsReport {
  readonly source: string;
  readonly payloads: readonly {
    readonly name: PayloadName;
    readonly originBytes: number;
    readonly answerBytes: number;
  }[];
  readonly peers: readonly { readonly name: PeerName; readonly describe: string }[];
  /** Every figure of every round. */
  readonly figures: readonly Figure[];
}

const paces: Readonly<Record<Duration, Pace>> = {
  full: { begin: 6, warm: 0.5, closed: 2, open: 6 },
  quick: { begin: 3, warm: 0.3, closed: 1, open: 3 },
  // long enough for one answer of each peer, and far too short for a figure
  short: { begin: 0, warm: 0.1, closed: 0.2, open: 0.2 },
};

/** Starts every peer, measures round by round, and checks the records of the answers. */
export async function runRequestsGroup(
  folder: string,
  duration: Duration,
  rounds: number,
): Promise<{ readonly report: RequestsReport; readonly measures: readonly Measure[] }> {
  const { payloads, source, origin, phylax } = await startOriginAndPhylax(folder, {
    bundles: join(folder, "bundles"),
    form: "minified",
    isInspected: false,
  });
  const peers = [
    await startProxy(folder, origin),
    phylax.peer,
    await startStock(folder, origin, phylax.issuer),
    await startTuned(folder, origin, phylax.issuer, false),
    await startTuned(folder, origin, phylax.issuer, true),
  ];
  const generator = await startGenerator();

  const expected = new Map<PayloadName, ReadonlyMap<Peer, readonly Expected[]>>();
  for (const payload of payloads) {
    const few = { ...payload, paths: payload.paths.slice(0, 8) };
    expected.set(payload.name, await checkAnswers(peers, duration === "short" ? few : payload, origin));
  }
  console.error(`all peers give the same answers (${source})`);

  const warmed = await warmAll(generator, peers, expected, paces[duration]);
  const figures: Figure[] = [];
  for (let round = 1; round <= rounds; round++) {
    console.error(`requests: round ${round} of ${rounds} …`);
    figures.push(...(await oneRound(generator, peers, expected, paces[duration], round)));
  }
  await checkLedgers(peers, figures, warmed);
  return {
    report: {
      source,
      payloads: payloads.map(({ name, originBytes }) => ({
        name,
        originBytes,
        answerBytes: meanBytes(expected.get(name)?.get(phylax.peer) ?? []),
      })),
      peers: peers.map(({ name, describe }) => ({ name, describe })),
      figures,
    },
    measures: measuresOf(figures),
  };
}

/** The origin with all answers, and Phylax before it. */
export async function startOriginAndPhylax(
  folder: string,
  deployment: Deployment,
): Promise<{
  readonly payloads: readonly Payload[];
  readonly source: string;
  readonly origin: string;
  readonly phylax: Phylax;
}> {
  const { payloads, source } = writePayloads(folder, await sampleResources());
  const { ready } = await start({
    place: "beside",
    command: [process.execPath, join(import.meta.dirname, "../data/origin.ts"), join(folder, "answers.json")],
    ready: [/^listening (?<base>\S+)/mu],
  });
  const origin = ready["base"] ?? "";
  const stack = join(folder, "phylax");
  mkdirSync(stack);
  return { payloads, source, origin, phylax: await startPhylax(stack, origin, deployment) };
}

/** Warms each peer with each payload of the closed loop, and gives the number of answers of each peer. */
async function warmAll(
  generator: Generator,
  peers: readonly Peer[],
  expected: ReadonlyMap<PayloadName, ReadonlyMap<Peer, readonly Expected[]>>,
  { begin }: Pace,
): Promise<ReadonlyMap<PeerName, number>> {
  const answers = new Map<PeerName, number>();
  if (begin === 0) return answers;
  console.error("requests: warming …");
  for (const plan of plans.filter(({ load }) => load.connections === 32))
    for (const peer of peers.filter(({ name }) => plan.peers.includes(name))) {
      const paths = expected.get(plan.payload)?.get(peer) ?? [];
      const given = await warm(generator, peer, paths, plan, begin);
      answers.set(peer.name, (answers.get(peer.name) ?? 0) + given);
    }
  return answers;
}

/** Puts every load on every peer in turn, so that other work of the machine affects all peers alike. */
async function oneRound(
  generator: Generator,
  peers: readonly Peer[],
  expected: ReadonlyMap<PayloadName, ReadonlyMap<Peer, readonly Expected[]>>,
  pace: Pace,
  round: number,
): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const plan of plans)
    for (const peer of peers.filter(({ name }) => plan.peers.includes(name))) {
      const paths = expected.get(plan.payload)?.get(peer) ?? [];
      figures.push(await measure(generator, peer, paths, plan, pace, round));
    }
  return figures;
}

/**
 * Checks that there is a record for every answer, in ledgers that verify: no peer was fast by not writing.
 */
async function checkLedgers(
  peers: readonly Peer[],
  figures: readonly Figure[],
  warmed: ReadonlyMap<PeerName, number>,
): Promise<void> {
  for (const { name, ledger } of peers) {
    if (ledger === undefined) continue;
    const answers = figures
      .filter(({ peer }) => peer === name)
      .reduce((sum, figure) => sum + figure.answers, warmed.get(name) ?? 0);
    const records = await ledger.records();
    if (records < answers) throw new Error(`${name}: ${records} records for ${answers} answers`);
    console.error(`ledger good: ${name} has ${records} records for ${answers} answers`);
  }
}

const meanBytes = (expected: readonly Expected[]) =>
  Math.round(expected.reduce((sum, { bytes }) => sum + bytes, 0) / expected.length);

function measuresOf(figures: readonly Figure[]): readonly Measure[] {
  const pairs = (
    payload: PayloadName,
    load: Load,
    other: PeerName,
    quantity: (figure: Figure) => number,
  ): readonly Pair[] => {
    const found = figures.filter((figure) => figure.payload === payload && isSame(figure.load, load));
    return found
      .filter(({ peer }) => peer === "phylax")
      .flatMap((figure) => {
        const against = found.find(({ peer, round }) => peer === other && round === figure.round);
        return against === undefined ? [] : [{ a: quantity(figure), b: quantity(against) }];
      });
  };
  const cpu = (payload: PayloadName, other: PeerName) =>
    pairs(payload, { connections: 32 }, other, (figure) => figure.cpuMicrosPerRequest);
  const rate = (payload: PayloadName, connections: number) =>
    pairs(payload, { connections }, "fastify-stock", (figure) => figure.requestsPerSecond);
  const open = (perSecond: number, other: PeerName, quantity: (figure: Figure) => number) =>
    pairs("60k", { connections: 64, perSecond }, other, quantity);
  const p50 = (figure: Figure) => figure.p50Milliseconds;
  return [
    ...payloadNames.map((name) => ratioOf(`cpu-${name}-vs-bare`, cpu(name, "proxy"))),
    ...payloadNames.map((name) => ratioOf(`rps-${name}-vs-stock`, rate(name, 32))),
    ratioOf("rps-2k-c4-vs-stock", rate("2k", 4)),
    ...(["2k", "60k"] as const).flatMap((name) => [
      ratioOf(`cpu-${name}-vs-tuned`, cpu(name, "fastify-tuned")),
      ratioOf(`cpu-${name}-vs-tuned-cache`, cpu(name, "fastify-tuned-cache")),
    ]),
    differenceOf("open-loop-p50-added-ms", open(50, "proxy", p50)),
    differenceOf("open-loop-400-p50-added-ms", open(400, "proxy", p50)),
  ];
}

const isSame = (a: Load, b: Load) => a.connections === b.connections && a.perSecond === b.perSecond;
