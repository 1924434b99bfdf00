import type { PayloadName } from "../data/payloads.ts";
import type { Generator, Order, Outcome } from "../load/order.ts";
import type { Peer, PeerName } from "../peers/peer.ts";
import type { Expected } from "./check.ts";
import type { Contestant, Extent, Load, Plan } from "./plans.ts";

/** One slice of one contestant in one turn. */
export interface Figure extends Contestant {
  readonly plan: string;
  readonly turn: number;
  readonly cpuMicrosPerRequest: number;
  readonly requestsPerSecond: number;
  readonly p50Milliseconds: number;
  readonly p95Milliseconds: number;
  /** The share of the answers that took over 25 ms, in per cent. */
  readonly slowPercent: number;
  /** Requests that a rate above the peer's own made it refuse; no other load may have any. */
  readonly refused: number;
}

/** The peers of a run, with the answers that they must give, and the generator of the load. */
export interface Field {
  readonly peers: readonly Peer[];
  readonly generator: Generator;
  /** The paths of a payload and the length of each answer of a peer. */
  expected(payload: PayloadName, peer: PeerName): readonly Expected[];
}

/** The records that each peer must have: one for each answer that it gave. */
export class Answers {
  readonly #of = new Map<PeerName, number>();

  count(peer: PeerName, answers: number): void {
    this.#of.set(peer, this.of(peer) + answers);
  }

  of(peer: PeerName): number {
    return this.#of.get(peer) ?? 0;
  }
}

// The connections are new in each slice, and the caches are those of the peer before.
const rewarmSeconds = { closed: 0.1, open: 0.2 };

/** True for a rate that a peer may not reach: it may refuse a part then, as it should. */
const mayRefuse = ({ perSecond = 0 }: Load) => perSecond > 100;

/**
 * Measures a plan turn by turn. In each turn every contestant has one slice, in an order that moves on by one
 * from turn to turn, so that other work of the machine affects all of them alike.
 */
export async function measurePlan(
  { name, load }: Pick<Plan, "name" | "load">,
  contestants: readonly Contestant[],
  { turns, slice, begin }: Extent,
  field: Field,
  answers: Answers,
): Promise<readonly Figure[]> {
  const lanes = contestants.map((contestant) => new Lane(contestant, load, field, answers));
  for (const lane of lanes) if (begin > 0) await lane.run(begin);
  const figures: Figure[] = [];
  for (let turn = 0; turn < turns; turn++)
    for (let n = 0; n < lanes.length; n++) {
      const lane = lanes[(turn + n) % lanes.length];
      if (lane !== undefined) figures.push({ plan: name, turn, ...(await lane.measure(slice)) });
    }
  return figures;
}

/** A contestant under a load. Its requests go on from slice to slice: a cold client is never asked twice in a row. */
class Lane {
  readonly #contestant: Contestant;
  readonly #load: Load;
  readonly #field: Field;
  readonly #answers: Answers;
  readonly #peer: Peer;
  #next = 0;

  constructor(contestant: Contestant, load: Load, field: Field, answers: Answers) {
    const peer = field.peers.find(({ name }) => name === contestant.peer);
    if (peer === undefined) throw new Error(`${contestant.peer} has not been started`);
    this.#contestant = contestant;
    this.#load = load;
    this.#field = field;
    this.#answers = answers;
    this.#peer = peer;
  }

  /** Loads the peer. A wrong answer throws: a peer that refuses under load is not fast. */
  async run(seconds: number): Promise<Outcome> {
    const { crowd, payload, peer } = this.#contestant;
    const order: Order = {
      target: this.#peer.target,
      paths: this.#field.expected(payload, peer),
      headers: await this.#peer.headers(crowd),
      ...this.#load,
      seconds,
      first: this.#next,
    };
    const outcome = await this.#field.generator.run(order);
    const { answers, wrong, refused, firstWrong = "" } = outcome;
    if (wrong > 0 || (refused > 0 && !mayRefuse(this.#load)))
      throw new Error(`${peer}: ${wrong + refused} wrong answers to ${payload}: ${firstWrong}`);
    this.#next += answers + refused;
    this.#answers.count(peer, answers);
    return outcome;
  }

  async measure(seconds: number): Promise<Omit<Figure, "plan" | "turn">> {
    await this.run(this.#load.perSecond === undefined ? rewarmSeconds.closed : rewarmSeconds.open);
    const before = this.#peer.process.cpuMicros();
    const outcome = await this.run(seconds);
    const cpu = this.#peer.process.cpuMicros() - before;
    return {
      ...this.#contestant,
      cpuMicrosPerRequest: cpu / outcome.answers,
      requestsPerSecond: outcome.answers / outcome.seconds,
      p50Milliseconds: outcome.p50Milliseconds,
      p95Milliseconds: outcome.p95Milliseconds,
      slowPercent: 100 * outcome.slowShare,
      refused: outcome.refused,
    };
  }
}
