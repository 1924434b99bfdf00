import type { PayloadName } from "../data/payloads.ts";
import type { Generator, Order } from "../load/order.ts";
import type { Peer, PeerName } from "../peers/peer.ts";
import type { Expected } from "./check.ts";

/**
 * The load on a peer. Closed loop: each connection sends its next request after the answer. Open loop: a fixed
 * number of requests a second, whatever the answers take.
 */
export interface Load {
  readonly connections: number;
  readonly perSecond?: number;
}

/** The duration of each measurement, in seconds. */
export interface Pace {
  /** Before the first round: V8 goes on compiling a peer's code for some thousand requests. */
  readonly begin: number;
  readonly warm: number;
  readonly closed: number;
  readonly open: number;
}

/** What is asked of whom under which load, in each round. */
export interface Plan {
  readonly payload: PayloadName;
  readonly load: Load;
  readonly peers: readonly PeerName[];
}

const all = ["proxy", "phylax", "fastify-stock", "fastify-tuned", "fastify-tuned-cache"] as const;
const core = ["proxy", "phylax", "fastify-stock"] as const;
// 50 a second is below half of the slowest peer's maximum on one core, so that no queue grows. The
// connections suffice: no request waits for a free connection.
export const plans: readonly Plan[] = [
  { payload: "2k", load: { connections: 32 }, peers: all },
  { payload: "60k", load: { connections: 32 }, peers: all },
  { payload: "half", load: { connections: 32 }, peers: core },
  { payload: "2k", load: { connections: 4 }, peers: core },
  { payload: "60k", load: { connections: 64, perSecond: 50 }, peers: core },
  { payload: "60k", load: { connections: 64, perSecond: 400 }, peers: core },
];

export interface Figure {
  readonly round: number;
  readonly peer: PeerName;
  readonly payload: PayloadName;
  readonly load: Load;
  readonly cpuMicrosPerRequest: number;
  readonly requestsPerSecond: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  /** Requests that a rate above the peer's own made it refuse; no further load may have any. */
  readonly refused: number;
  /** Answers of the measurement and of the warming before it. */
  readonly answers: number;
}

/** True for a rate that a peer may not reach: it may refuse a part then, as it should. */
const mayRefuse = ({ perSecond = 0 }: Load) => perSecond > 100;

/** A rate that a peer may not reach is kept up for a shorter time, because its queue has to be answered, too. */
function secondsOf(load: Load, { closed, open }: Pace): number {
  if (load.perSecond === undefined) return closed;
  return mayRefuse(load) ? open / 3 : open;
}

/** Loads a peer until its code is compiled, and gives the number of answers. */
export async function warm(
  generator: Generator,
  peer: Peer,
  paths: readonly Expected[],
  { load }: Plan,
  seconds: number,
): Promise<number> {
  const {
    answers,
    wrong,
    refused,
    firstWrong = "",
  } = await generator.run({
    target: peer.target,
    paths,
    headers: await peer.headers(),
    ...load,
    seconds,
  });
  if (wrong + refused > 0) throw new Error(`${peer.name}: ${wrong + refused} wrong answers: ${firstWrong}`);
  return answers;
}

/** One figure of one round. A wrong answer in it throws: a peer that refuses under load is not fast. */
export async function measure(
  generator: Generator,
  peer: Peer,
  paths: readonly Expected[],
  { payload, load }: Plan,
  pace: Pace,
  round: number,
): Promise<Figure> {
  const order: Omit<Order, "seconds"> = {
    target: peer.target,
    paths,
    headers: await peer.headers(),
    ...load,
  };
  const warm = await generator.run({ ...order, seconds: pace.warm });
  const before = peer.process.cpuMicros();
  const outcome = await generator.run({ ...order, seconds: secondsOf(load, pace) });
  const cpu = peer.process.cpuMicros() - before;
  const [wrong, refused] = [warm.wrong + outcome.wrong, warm.refused + outcome.refused];
  if (wrong > 0 || (refused > 0 && !mayRefuse(load))) {
    const first = warm.firstWrong ?? outcome.firstWrong ?? "";
    throw new Error(`${peer.name}: ${wrong + refused} wrong answers to ${payload}: ${first}`);
  }
  return {
    round,
    peer: peer.name,
    payload,
    load,
    cpuMicrosPerRequest: cpu / outcome.answers,
    requestsPerSecond: outcome.answers / outcome.seconds,
    p50Milliseconds: outcome.p50Milliseconds,
    p99Milliseconds: outcome.p99Milliseconds,
    refused: outcome.refused,
    answers: warm.answers + outcome.answers,
  };
}
