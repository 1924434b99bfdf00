import {
  applyUpdate,
  updateSince,
  type Delta,
  type RevocationState,
  type RevocationUpdate,
} from "#registry/revocation";
import { instant, type Clock, type Instant } from "#kernel/clock";

/** Whose news: a client's, and those of the issuers whose tokens and keys it comes with. */
export interface Listener {
  readonly client: string;
  readonly issuers: readonly string[];
}

/** Where the news comes from: `control`, which alone knows. */
export interface RevocationSource {
  news(listener: Listener, since?: number): Promise<RevocationUpdate & { [Symbol.dispose]?(): void }>;
}

// DESIGN §5: read again when older than 2 s; not older than 5 s even when nobody answers.
const freshMilliseconds = 2_000;
const hardMilliseconds = 5_000;
// So long a call waits for an answer.
const patienceMilliseconds = 1_000;
// Of the past so much is kept for isolates that were away; others are told the whole.
const pastMax = 256;

// A client comes with one issuer's tokens, and asks the built-in one with its own keys; the rest is somebody's trying.
const issuersMax = 4;

/** What a guard knows, apart for each issuer that its client comes with: what was heard of one says nothing of another's tokens. */
export class GuardEpochs {
  readonly #source: RevocationSource;
  readonly #clock: Clock;
  readonly #epochs = new Map<string, GuardEpoch>(); // the least lately used first

  constructor(source: RevocationSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  /** Good for one call: hold it from reading to telling, so that both are of this issuer whatever else the guard is asked meanwhile. */
  of(client: string, issuer: string): GuardEpoch {
    const epoch =
      this.#epochs.get(issuer) ??
      new GuardEpoch(this.#source, this.#clock, { client, issuers: [issuer, client] });
    this.#epochs.delete(issuer);
    this.#epochs.set(issuer, epoch);
    if (this.#epochs.size > issuersMax) this.#epochs.delete(this.#epochs.keys().next().value ?? "");
    return epoch;
  }
}

/** What is known of the revocations that concern one listener, and how old that is. In memory only: a guard that starts asks for the whole. */
class GuardEpoch {
  readonly #source: RevocationSource;
  readonly #clock: Clock;
  readonly #listener: Listener;
  #heard: RevocationState | undefined;
  #past: { from: number; deltas: readonly Delta[] } = { from: 0, deltas: [] };
  #read = instant(0);
  #reading: Promise<void> | undefined;

  constructor(source: RevocationSource, clock: Clock, listener: Listener) {
    this.#source = source;
    this.#clock = clock;
    this.#listener = listener;
  }

  /** When what is known was asked for, after it was asked for anew where it was too old. Throws when it is too old to go by. */
  async read(): Promise<Instant> {
    if (this.#age < 0) this.#read = instant(0); // a clock that stepped back says nothing of how old this is
    if (this.#age >= freshMilliseconds) {
      // Within one Durable Object all calls may wait for one promise: to the runtime they are one.
      this.#reading ??= this.#begin();
      await this.#reading;
    }
    if (this.#heard === undefined || this.#age > hardMilliseconds)
      throw new Error("nobody says what is revoked");
    return this.#read;
  }

  /** Asks now, whatever is known: it includes all that was in force before the call. Throws when nobody answers. */
  async readAnew(): Promise<void> {
    await this.#ask(); // not `#reading`, which may have been asked before
  }

  /** To be called in the same turn as `read` came back. */
  updateSince(since: number | undefined): RevocationUpdate {
    if (this.#heard === undefined) throw new Error("nothing is known to tell");
    return updateSince(this.#heard, this.#past, since, this.#clock());
  }

  get #age(): number {
    return this.#clock() - this.#read;
  }

  /** Ends within the patience, with or without an answer: what is known may still be young enough. */
  #begin(): Promise<void> {
    const answered = new AbortController(); // a timer that nobody waits for would keep the object awake
    const patience = scheduler.wait(patienceMilliseconds, { signal: answered.signal }).catch(() => {});
    const reading = Promise.race([this.#ask().catch(() => {}), patience]).finally(() => {
      answered.abort();
      if (this.#reading === reading) this.#reading = undefined;
    });
    return reading;
  }

  async #ask(): Promise<void> {
    const asked = this.#clock();
    const news = await this.#source.news(this.#listener, this.#heard?.epoch);
    // An RPC's result that is not let go keeps this object awake for ever; the data in it stays good.
    news[Symbol.dispose]?.();
    const next = applyUpdate(this.#heard, news, this.#clock());
    if (next === undefined) throw new Error("news of revocations were missed");
    if (asked < this.#read) return; // a later answer was quicker
    const before = this.#heard?.epoch ?? 0;
    if (news.kind === "deltas")
      this.#past = kept(
        this.#past,
        news.deltas.filter(({ epoch }) => epoch > before),
      );
    else if (next.state !== this.#heard) this.#past = { from: news.epoch, deltas: [] };
    this.#heard = next.state;
    this.#read = asked;
  }
}

function kept(
  { from, deltas }: { readonly from: number; readonly deltas: readonly Delta[] },
  more: readonly Delta[],
) {
  const all = [...deltas, ...more];
  const gone = all.slice(0, Math.max(0, all.length - pastMax));
  return { from: gone.at(-1)?.epoch ?? from, deltas: all.slice(gone.length) };
}
