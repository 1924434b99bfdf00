import type { Instant } from "#kernel/clock";
import { integerIn, mustFit, numberIn, optional, strictObjectOf, textOf } from "#kernel/value-shape";
import type { Quota } from "./quota.ts";

/**
 * An isolate asks a client's guard for a share of a window, and returns the tokens that it did not spend.
 */
export interface LeaseCall {
  /** Unique to the call, the same in each retry of it: applied at most once. */
  readonly id: string;
  /** The isolate. The number of isolates with leases decides how large a share is. */
  readonly holder: string;
  /**
   * The counter: `<origin>/<purpose>` names the grant that has this quota. A further counter of the same
   * grant follows after a space.
   */
  readonly key: string;
  /** As the caller's copy of the registry says; the guard decides whether it is the newest. */
  readonly quota: Quota;
  /** 0: the caller only looks, or only returns tokens. */
  readonly want: number;
  /**
   * The part of `want` that the asking request cannot do without. It is granted whole, to be spent at once,
   * or not at all.
   */
  readonly need: number;
  readonly returned: number;
  /**
   * The origin of the returned tokens, as stated by the answer that granted them. Tokens from another
   * incarnation or window count as spent.
   */
  readonly incarnation?: string;
  readonly windowStart?: Instant;
}

export interface LeaseAnswer {
  readonly granted: number;
  /** Requests of the whole window, as the guard counts them. */
  readonly limit: number;
  /** Tokens not granted yet. */
  readonly remaining: number;
  readonly windowSeconds: number;
  readonly windowStart: Instant;
  /** To the window's end, by the guard's clock. */
  readonly windowMillisecondsLeft: number;
  /** From the moment the caller first sent the call; never past the window's end. */
  readonly lifeMilliseconds: number;
  readonly incarnation: string;
  /**
   * Set when tokens were asked for and none were granted. For this long the caller refuses, without asking
   * again, each request for which `remaining` is not enough. Never past the window's end.
   */
  readonly denyMilliseconds?: number;
}

const count = integerIn(0, 1_000_000_000);
const name = textOf(1, 128);
const shape = strictObjectOf({
  id: name,
  holder: name,
  key: name,
  quota: strictObjectOf({
    requests: count,
    windowSeconds: integerIn(1, 31 * 86_400),
    revision: integerIn(0, Infinity),
  }),
  want: count,
  need: count,
  returned: count,
  incarnation: optional(name),
  windowStart: optional(numberIn()),
});

/** Throws for a call that no caller of ours makes. */
export function readLeaseCall(call: unknown): LeaseCall {
  return mustFit(shape(call)) as LeaseCall; // that shape, with the brand of an Instant
}
