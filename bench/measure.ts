import { requestFor } from "./check.ts";
import type { Generator, Outcome } from "./order.ts";
import type { Payload } from "./payloads.ts";
import type { Peer } from "./peers/peer.ts";

/**
 * The load on a peer: a number of connections that send as fast as they get answers, or a number of requests
 * a second, however slow the answers are.
 */
export interface Load {
  readonly connections: number;
  readonly perSecond?: number;
}

/** The duration of each measurement. */
export interface Pace {
  readonly warmSeconds: number;
  readonly closedSeconds: number;
  readonly openSeconds: number;
}

export const fullPace: Pace = { warmSeconds: 0.5, closedSeconds: 2, openSeconds: 6 };
// Long enough for one answer of each peer, and far too short for a figure.
export const shortPace: Pace = { warmSeconds: 0.1, closedSeconds: 0.2, openSeconds: 0.2 };

// The rate is below half of the slowest peer's maximum on one core, so that no queue grows. There are enough
// connections that no request waits for one.
const openLoop: Load = { connections: 64, perSecond: 50 };
export const loads: readonly Load[] = [{ connections: 4 }, { connections: 32 }, openLoop];

export interface Figure {
  readonly peer: string;
  readonly payload: Payload["name"];
  readonly load: Load;
  readonly cpuMicrosPerRequest: number;
  readonly requestsPerSecond: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
}

/** One figure of one round. A wrong answer in it throws: a peer that refuses under load is not fast. */
export async function measure(
  generator: Generator,
  peer: Peer,
  payload: Payload,
  bytes: number,
  load: Load,
  pace: Pace,
): Promise<Figure & Pick<Outcome, "answers">> {
  const order = { target: peer.target, request: await requestFor(peer, payload), bytes, ...load };
  const warm = await generator.run({ ...order, seconds: pace.warmSeconds });
  const before = peer.process.cpuMicros();
  const outcome = await generator.run({
    ...order,
    seconds: load.perSecond === undefined ? pace.closedSeconds : pace.openSeconds,
  });
  const cpu = peer.process.cpuMicros() - before;
  if (warm.wrong + outcome.wrong > 0)
    throw new Error(`${peer.name}: ${warm.wrong + outcome.wrong} wrong answers to ${payload.path}`);
  return {
    peer: peer.name,
    payload: payload.name,
    load,
    cpuMicrosPerRequest: cpu / outcome.answers,
    requestsPerSecond: outcome.answers / outcome.seconds,
    p50Milliseconds: outcome.p50Milliseconds,
    p99Milliseconds: outcome.p99Milliseconds,
    answers: warm.answers + outcome.answers,
  };
}

/** The median of each figure over the rounds. */
export function medians(rounds: readonly Figure[]): readonly Figure[] {
  const groups = Map.groupBy(rounds, ({ peer, payload, load }) => JSON.stringify([peer, payload, load]));
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    const middle = (of: (figure: Figure) => number) => median(group.map(of));
    return first === undefined
      ? []
      : [
          {
            peer: first.peer,
            payload: first.payload,
            load: first.load,
            cpuMicrosPerRequest: middle((figure) => figure.cpuMicrosPerRequest),
            requestsPerSecond: middle((figure) => figure.requestsPerSecond),
            p50Milliseconds: middle((figure) => figure.p50Milliseconds),
            p99Milliseconds: middle((figure) => figure.p99Milliseconds),
          },
        ];
  });
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}
