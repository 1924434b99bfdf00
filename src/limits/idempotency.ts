import { instant, type Instant } from "#kernel/clock";

/**
 * The states of an idempotency key, as arithmetic: state in, state out. A Durable Object stores them and
 * supplies the clock.
 *
 * `deciding`: an attempt reads and judges, and has sent nothing. `sending`: its write may have been sent.
 * `unknown`: a write was sent, and its outcome is unknown. `done`: the write was done.
 */
export interface KeyState {
  /** The hash of the request that used the key first. */
  readonly fingerprint: string;
  /** When the key was used first. */
  readonly since: Instant;
  readonly state: "deciding" | "sending" | "unknown" | "done";
  /** The attempt that changed the state last. */
  readonly attempt: string;
  /** Until then no further attempt may take over. */
  readonly until: Instant;
  /** `done`: the result. In a further state: the content that was about to be sent, if any. */
  readonly content: string | undefined;
  /** A write of an earlier attempt was sent, and its outcome is unknown. */
  readonly isUnknown: boolean;
}

/** Published in docs/writes.md: a key is forgotten then. */
export const keyMilliseconds = 24 * 3_600_000;
/**
 * The time of an attempt for reading and judging. Then another attempt may take over, safely: the first
 * attempt asks again before it sends.
 */
export const decidingMilliseconds = 60_000;
/**
 * When a request that met another attempt may come again. An attempt mostly ends within a second, and the end of its
 * lease says only when it is abandoned: clients that waited so long would all meet again, and one of them would go on.
 */
const retryMilliseconds = { deciding: 1_000, sending: 5_000 } as const;
// The longest batch: fifty writes, each with the time that an origin has for its answer.
const sendingMillisecondsMax = 20 * 60_000;

export interface KeyClaim {
  readonly attempt: string;
  readonly fingerprint: string;
}

export type ClaimAnswer =
  /** The key belongs to a different request. */
  | { readonly kind: "other" }
  /** `earlier`: as in a claim, of the attempts before the one that has the key. */
  | { readonly kind: "busy"; readonly retryAfterSeconds: number; readonly earlier?: string }
  | { readonly kind: "done"; readonly result: string }
  /** The attempt may go on. `earlier`: the content that an attempt of unknown outcome was about to send. */
  | { readonly kind: "claimed"; readonly since: Instant; readonly earlier: string | undefined };

interface Claimed {
  readonly answer: ClaimAnswer;
  readonly store?: KeyState;
}

/** Claims a key for an attempt. A call that is repeated with the same attempt gets the same answer. */
export function claimKey(known: KeyState | undefined, call: KeyClaim, at: Instant): Claimed {
  const { attempt, fingerprint } = call;
  const lease = { state: "deciding", attempt, until: instant(at + decidingMilliseconds) } as const;
  if (known === undefined || isForgotten(known, at)) {
    const store = { ...lease, fingerprint, since: at, content: undefined, isUnknown: false };
    return { answer: { kind: "claimed", since: at, earlier: undefined }, store };
  }
  if (known.fingerprint !== fingerprint) return { answer: { kind: "other" } };
  if (known.state === "done") return { answer: { kind: "done", result: known.content ?? "" } };
  const isOther = known.state !== "unknown" && known.attempt !== attempt;
  if (isOther && isLeased(known, at)) {
    const retry = Math.min(retryMilliseconds[known.state], known.until - at);
    const busy = { kind: "busy", retryAfterSeconds: Math.ceil(retry / 1_000) } as const;
    // the content of an attempt that sends is its own
    const hasEarlier = known.state === "deciding" && known.isUnknown;
    return { answer: hasEarlier ? { ...busy, earlier: known.content ?? "" } : busy };
  }
  const isUnknown = known.isUnknown || known.state === "unknown" || known.state === "sending";
  const earlier = isUnknown ? (known.content ?? "") : undefined;
  const store = { ...known, ...lease, content: earlier, isUnknown };
  return { answer: { kind: "claimed", since: known.since, earlier }, store };
}

/** Before a write is sent. `undefined`: another attempt took over, so nothing may be sent. */
export function sendUnderKey(
  known: KeyState | undefined,
  attempt: string,
  { content, milliseconds }: { readonly content: string; readonly milliseconds: number },
  at: Instant,
): KeyState | undefined {
  if (known === undefined || known.attempt !== attempt) return undefined;
  if (known.state !== "deciding" && known.state !== "sending") return undefined;
  const until = instant(at + Math.min(milliseconds, sendingMillisecondsMax));
  return { ...known, state: "sending", until, content };
}

export type KeyEnd =
  | { readonly kind: "done"; readonly result: string }
  /** Nothing of this attempt was done. */
  | { readonly kind: "nothing" }
  /** `content`: for a later attempt, in place of the content that was about to be sent. */
  | { readonly kind: "unknown"; readonly content?: string };

/**
 * After an attempt. An attempt that did nothing leaves the key as it found it: a client may repeat the
 * request. The end of an attempt that another attempt followed changes nothing.
 *
 * @returns `forgotten`: the key is free again. `undefined`: nothing changes.
 */
export function endUnderKey(
  known: KeyState | undefined,
  attempt: string,
  end: KeyEnd,
  at: Instant,
): KeyState | "forgotten" | undefined {
  if (known === undefined || known.attempt !== attempt) return undefined;
  if (known.state !== "deciding" && known.state !== "sending") return undefined;
  switch (end.kind) {
    case "done":
      return { ...known, state: "done", until: at, content: end.result, isUnknown: false };
    case "unknown":
      return {
        ...known,
        state: "unknown",
        until: at,
        isUnknown: true,
        content: end.content ?? known.content,
      };
    case "nothing":
      return known.isUnknown ? { ...known, state: "unknown", until: at } : "forgotten";
  }
}

/** A clock that jumped back leaves no key for longer than its time. */
const isForgotten = ({ since }: Pick<KeyState, "since">, at: Instant): boolean =>
  Math.abs(at - since) >= keyMilliseconds;

/** A clock that jumped back extends no lease beyond its longest time. */
const isLeased = ({ until }: KeyState, at: Instant): boolean =>
  at < until && until - at <= sendingMillisecondsMax;
