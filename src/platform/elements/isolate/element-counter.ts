import { dayMilliseconds, type Clock, type Instant } from "#kernel/clock";
import type { Json } from "#fhir/json/json";
import { elementsLeft } from "#phi/elements-left";
import { inTime } from "#platform/deadlines";
import type { MeasuredBatch } from "#platform/elements/object/element-counts";

/** The object that adds up the counts of a grant. */
interface CountsOfGrant {
  add(batch: MeasuredBatch): Promise<void>;
}

export interface ElementCounterPlace {
  readonly clock: Clock;
  readonly wait: (milliseconds: number) => Promise<unknown>;
  readonly keepAlive: (work: Promise<void>) => void;
}

const flushMilliseconds = 10_000;
// A flush whose request was cancelled is planned anew.
const lateMilliseconds = 30_000;
// Counting is outside of a request's limits: 2 MiB of dense JSON take about 0.1 s of processor time.
const bytesMax = 2_097_152;
/** Bytes of all answers that wait to be counted. */
const waitingBytesMax = 2 * bytesMax;
const batchesMax = 100;

interface Batch {
  readonly grant: string;
  readonly day: number;
  answers: number;
  readonly elements: Map<string, number>;
}

/**
 * Adds up the elements of answers in this isolate, and brings the sums to the grant's object every ten seconds. The
 * sums of an isolate that ends before, and of a call that fails, are lost: a measurement never has more than left,
 * and says how many answers it has. An answer of over 2 MiB, that arrives while 4 MiB wait, or that is not JSON, is not
 * counted.
 */
export class ElementCounter {
  readonly #objectOf: (grant: string) => CountsOfGrant;
  readonly #place: ElementCounterPlace;
  #batches = new Map<string, Batch>();
  #plannedAt = -Infinity;
  #waitingBytes = 0;
  #waitsSince = -Infinity;

  constructor(objectOf: (grant: string) => CountsOfGrant, place: ElementCounterPlace) {
    this.#objectOf = objectOf;
    this.#place = place;
  }

  /** Counts an answer after it was sent. */
  note(grant: string, at: Instant, bodies: readonly Uint8Array[]): void {
    const bytes = bodies.reduce((sum, { length }) => sum + length, 0);
    const now = this.#place.clock();
    // The bytes of a request that was cancelled do not wait forever.
    if (now - this.#waitsSince >= lateMilliseconds) this.#waitingBytes = 0;
    if (bytes > bytesMax || this.#waitingBytes + bytes > waitingBytesMax) return;
    this.#waitsSince = now;
    this.#waitingBytes += bytes;
    this.#place.keepAlive(this.#measure(grant, at, { bodies, bytes }));
  }

  async #measure(
    grant: string,
    at: Instant,
    { bodies, bytes }: { readonly bodies: readonly Uint8Array[]; readonly bytes: number },
  ): Promise<void> {
    await this.#place.wait(0); // the answer goes first
    this.#waitingBytes = Math.max(0, this.#waitingBytes - bytes);
    const elements = countsIn(bodies);
    if (elements.size === 0) return;
    this.#add(grant, Math.floor(at / dayMilliseconds), elements);
    const now = this.#place.clock();
    if (now - this.#plannedAt < lateMilliseconds) return;
    this.#plannedAt = now;
    await this.#place.wait(flushMilliseconds);
    await this.#flush();
  }

  #add(grant: string, day: number, elements: ReadonlyMap<string, number>): void {
    const key = `${grant} ${day}`;
    const batch = this.#batches.get(key) ?? { grant, day, answers: 0, elements: new Map() };
    if (!this.#batches.has(key) && this.#batches.size >= batchesMax) return;
    this.#batches.set(key, batch);
    batch.answers += 1;
    for (const [path, count] of elements) batch.elements.set(path, (batch.elements.get(path) ?? 0) + count);
  }

  async #flush(): Promise<void> {
    const batches = [...this.#batches.values()];
    this.#batches = new Map();
    this.#plannedAt = -Infinity;
    // A call that failed may have arrived: it is not repeated.
    await Promise.allSettled(
      batches.map(({ grant, day, answers, elements }) =>
        inTime("elementCounts", () => this.#objectOf(grant).add({ day, answers, elements: [...elements] })),
      ),
    );
  }
}

function countsIn(bodies: readonly Uint8Array[]): ReadonlyMap<string, number> {
  try {
    return elementsLeft(JSON.parse(Buffer.concat(bodies).toString("utf8")) as Json);
  } catch {
    return none; // an accounting as CSV
  }
}

const none: ReadonlyMap<string, number> = new Map();
