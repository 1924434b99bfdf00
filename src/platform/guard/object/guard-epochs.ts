import {
  applyUpdate,
  updateSince,
  type Delta,
  type RevocationState,
  type RevocationUpdate,
} from "#registry/revocation";
import { instant, type Clock, type Instant } from "#kernel/clock";
import { Newest } from "#kernel/memo";

/** The receiver of revocation deltas: a client, with the issuers of its tokens and keys. */
export interface Listener {
  readonly client: string;
  readonly issuers: readonly string[];
}

/** The source of the revocations: `control`, the only worker that knows them. */
export interface RevocationSource {
  news(listener: Listener, since?: number): Promise<RevocationUpdate & { [Symbol.dispose]?(): void }>;
}

// P4: the revocations are read again when older than 2 s. Older than 5 s they are not used, even when
// `control` does not answer.
const freshMilliseconds = 2_000;
const hardMilliseconds = 5_000;
// How long a call waits for an answer.
const patienceMilliseconds = 1_000;
// How many past deltas are stored for isolates that were away. An isolate that missed more receives a
// snapshot.
const pastMax = 256;

// A client comes with a single issuer's tokens, and asks the built-in issuer with its own keys. Further
// issuers are attempts by an attacker.
const issuersMax = 4;

/**
 * A guard's knowledge of revocations, separate for each issuer that its client comes with: deltas for an
 * issuer say nothing about a different issuer's tokens.
 */
export class GuardEpochs {
  readonly #source: RevocationSource;
  readonly #clock: Clock;
  readonly #epochs = new Newest<GuardEpoch>(issuersMax); // the most recently used

  constructor(source: RevocationSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  /**
   * The revocations for an issuer, good for a single call: use the same object to read and to answer, so
   * that both are of this issuer even if further calls come between.
   */
  of(client: string, issuer: string): GuardEpoch {
    const epoch =
      this.#epochs.get(issuer) ??
      new GuardEpoch(this.#source, this.#clock, { client, issuers: [issuer, client] });
    this.#epochs.set(issuer, epoch);
    return epoch;
  }
}

/**
 * The known revocations that concern a listener, and their age. They are in memory only: a guard that starts
 * asks for a snapshot.
 */
class GuardEpoch {
  readonly #source: RevocationSource;
  readonly #clock: Clock;
  readonly #listener: Listener;
  #state: RevocationState | undefined;
  #past: { from: number; deltas: readonly Delta[] } = { from: 0, deltas: [] };
  #read = instant(0);
  #reading: Promise<void> | undefined;

  constructor(source: RevocationSource, clock: Clock, listener: Listener) {
    this.#source = source;
    this.#clock = clock;
    this.#listener = listener;
  }

  /**
   * The time when the known revocations were asked for; they are read again first if they are too old.
   * Throws when they remain too old to use.
   */
  async read(): Promise<Instant> {
    if (this.#age < 0) this.#read = instant(0); // a clock that stepped back proves no age
    if (this.#age >= freshMilliseconds) {
      // Within a Durable Object all calls may wait for the same promise: the runtime treats them as a single
      // context.
      this.#reading ??= this.#begin();
      await this.#reading;
    }
    if (this.#state === undefined || this.#age > hardMilliseconds)
      throw new Error("revocation state unavailable (older than 5 s)");
    return this.#read;
  }

  /**
   * Reads now, even if the known revocations are young: the answer includes every denial that was in force
   * before the call. Throws when `control` does not answer.
   */
  async readAnew(): Promise<void> {
    await this.#ask(); // not `#reading`, which may have been asked before
  }

  /** Call it in the same turn in which `read` returned. */
  updateSince(since: number | undefined): RevocationUpdate {
    if (this.#state === undefined) throw new Error("no revocation state is known yet");
    return updateSince(this.#state, this.#past, since, this.#clock());
  }

  get #age(): number {
    return this.#clock() - this.#read;
  }

  /**
   * Ends within the patience, with or without an answer: the known revocations may still be young enough.
   */
  #begin(): Promise<void> {
    const answered = new AbortController(); // a timer that no call waits for would keep the object awake
    const patience = scheduler.wait(patienceMilliseconds, { signal: answered.signal }).catch(() => {});
    const reading = Promise.race([this.#ask().catch(() => {}), patience]).finally(() => {
      answered.abort();
      if (this.#reading === reading) this.#reading = undefined;
    });
    return reading;
  }

  async #ask(): Promise<void> {
    const begun = this.#clock();
    const news = await this.#source.news(this.#listener, this.#state?.epoch);
    // An RPC result that is not disposed keeps this object awake for ever. The data in it stay usable.
    news[Symbol.dispose]?.();
    const next = applyUpdate(this.#state, news, this.#clock());
    if (next === undefined) throw new Error("revocation deltas were missed");
    if (begun < this.#read) return; // a later answer was quicker
    const before = this.#state?.epoch ?? 0;
    if (news.kind === "deltas")
      this.#past = appendToPast(
        this.#past,
        news.deltas.filter(({ epoch }) => epoch > before),
      );
    else if (next.state !== this.#state) this.#past = { from: news.epoch, deltas: [] };
    this.#state = next.state;
    this.#read = begun;
  }
}

function appendToPast(
  { from, deltas }: { readonly from: number; readonly deltas: readonly Delta[] },
  more: readonly Delta[],
) {
  const all = [...deltas, ...more];
  const dropped = all.slice(0, Math.max(0, all.length - pastMax));
  return { from: dropped.at(-1)?.epoch ?? from, deltas: all.slice(dropped.length) };
}
