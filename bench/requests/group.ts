import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  filedConsents,
  sampleResources,
  writePayloads,
  type Data,
  type Payload,
  type PayloadName,
} from "../data/payloads.ts";
import { startGenerator } from "../load/order.ts";
import type { Measure } from "../measures.ts";
import { roundsOf, type Duration } from "../options.ts";
import { startStock, startTuned } from "../peers/fastify.ts";
import { startFloor } from "../peers/floor.ts";
import type { Peer, PeerName } from "../peers/peer.ts";
import { startPhylax, type Phylax } from "../peers/phylax.ts";
import { startProxy } from "../peers/proxy.ts";
import { start } from "../process/process.ts";
import type { Deployment } from "../workerd/serve.ts";
import { checkAnswers, type Expected } from "./check.ts";
import { Answers, measurePlan, type Field, type Figure } from "./measure.ts";
import { extents, plans, type Contestant, type Extent, type Load, type Plan } from "./plans.ts";
import { requestMeasures } from "./rows.ts";

/** All results of the group of requests. */
export interface RequestsReport {
  readonly source: string;
  readonly payloads: readonly {
    readonly name: PayloadName;
    readonly says: string;
    readonly originBytes: number;
    readonly answerBytes: number;
  }[];
  readonly peers: readonly { readonly name: PeerName; readonly describe: string }[];
  readonly plans: readonly { readonly name: string; readonly says: string; readonly load: Load }[];
  /** Every slice of every turn. */
  readonly figures: readonly Figure[];
}

/** Starts every peer, measures plan by plan, and checks the records of the answers. */
export async function runRequestsGroup(
  folder: string,
  duration: Duration,
  rounds: number,
): Promise<{ readonly report: RequestsReport; readonly measures: readonly Measure[] }> {
  const { data, origin, phylax } = await startOriginAndPhylax(folder, {
    bundles: join(folder, "bundles"),
    form: "minified",
    isInspected: false,
  });
  const peers = [
    await startProxy(folder, origin),
    await startFloor(folder, origin),
    phylax.peer,
    await startStock(folder, origin, phylax.issuer),
    await startTuned(folder, origin, phylax.issuer, false),
    await startTuned(folder, origin, phylax.issuer, true),
  ];
  const field = await fieldOf(peers, plans, data, origin, duration);
  console.error(`all peers give the same answers (${data.source})`);

  const figures = await measurePlans(plans, field, duration, rounds);
  return {
    report: {
      source: data.source,
      payloads: data.payloads.map(({ name, says, originBytes }) => ({
        name,
        says,
        originBytes,
        answerBytes: meanBytes(field.expected(name, "phylax")),
      })),
      peers: peers.map(({ name, describe }) => ({ name, describe })),
      plans: plans.map(({ name, says, load }) => ({ name, says, load })),
      figures,
    },
    measures: requestMeasures(figures),
  };
}

/** The origin with all answers, and Phylax before it. */
export async function startOriginAndPhylax(
  folder: string,
  deployment: Deployment,
): Promise<{ readonly data: Data; readonly origin: string; readonly phylax: Phylax }> {
  const { data, origin } = await startOrigin(folder);
  const stack = join(folder, "phylax");
  mkdirSync(stack);
  return { data, origin, phylax: await startPhylax(stack, origin, deployment, filedConsents) };
}

/** The origin with all answers, and its FHIR base. */
export async function startOrigin(folder: string): Promise<{ readonly data: Data; readonly origin: string }> {
  const data = writePayloads(folder, await sampleResources());
  const { ready } = await start({
    place: "beside",
    command: [process.execPath, join(import.meta.dirname, "../data/origin.ts"), join(folder, "answers.json")],
    ready: [/^listening (?<base>\S+)/mu],
  });
  return { data, origin: ready["base"] ?? "" };
}

/**
 * The peers with the answers that they must give: each is asked for each payload that a plan asks it for, and all
 * full peers give the same answers, or each is checked by itself.
 */
export async function fieldOf(
  peers: readonly Peer[],
  plans: readonly Plan[],
  { payloads }: Data,
  origin: string,
  duration: Duration,
  compared: "all alike" | "each by itself" = "all alike",
): Promise<Field> {
  const contestants: readonly Contestant[] = plans.flatMap((plan) => plan.contestants);
  const known = new Map<PayloadName, ReadonlyMap<Peer, readonly Expected[]>>();
  for (const payload of payloads) {
    const asked = peers.filter(({ name }) =>
      contestants.some((one) => one.peer === name && one.payload === payload.name),
    );
    const found = new Map<Peer, readonly Expected[]>();
    for (const alike of compared === "all alike" ? [asked] : asked.map((peer) => [peer]))
      for (const [peer, answers] of await checkAnswers(alike, someOf(payload, duration), origin))
        found.set(peer, answers);
    known.set(payload.name, found);
  }
  return {
    peers,
    generator: await startGenerator(),
    expected: (payload, name) => {
      const peer = peers.find((one) => one.name === name);
      return (peer && known.get(payload)?.get(peer)) ?? [];
    },
  };
}

/** The requests of a payload: a shorter run checks and asks fewer. */
const someOf = (payload: Payload, duration: Duration): Payload => ({
  ...payload,
  paths: payload.paths.slice(0, pathsOf[duration]),
});
const pathsOf: Readonly<Record<Duration, number>> = { full: 200, quick: 50, short: 8 };

/** Measures plan after plan, and checks that each peer has a record for each answer. */
export async function measurePlans(
  plans: readonly Plan[],
  field: Field,
  duration: Duration,
  rounds: number,
): Promise<readonly Figure[]> {
  const answers = new Answers();
  const figures: Figure[] = [];
  for (const plan of plans) {
    const extent = extents[plan.weight][duration];
    const turns = Math.max(1, Math.round((extent.turns * rounds) / roundsOf[duration]));
    console.error(`requests: ${plan.name}, ${turns} turns of ${plan.contestants.length} …`);
    const longer: Extent = { ...extent, turns };
    figures.push(...(await measurePlan(plan, plan.contestants, longer, field, answers)));
  }
  await checkLedgers(field.peers, answers);
  return figures;
}

/**
 * Checks that there is a record for every answer, in ledgers that verify: no peer was fast by not writing.
 */
async function checkLedgers(peers: readonly Peer[], answers: Answers): Promise<void> {
  for (const { name, ledger } of peers) {
    if (ledger === undefined) continue;
    const records = await ledger.records();
    if (records < answers.of(name))
      throw new Error(`${name}: ${records} records for ${answers.of(name)} answers`);
    console.error(`ledger good: ${name} has ${records} records for ${answers.of(name)} answers`);
  }
}

const meanBytes = (expected: readonly Expected[]) =>
  Math.round(expected.reduce((sum, { bytes }) => sum + bytes, 0) / expected.length);
