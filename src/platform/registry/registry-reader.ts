import type { AppliedUpdate, RecordName } from "#registry/revocation";
import type { Clock, Instant } from "#kernel/clock";
import { drizzled } from "./registry-sql.ts";

/** A record that is read; a kind, where nobody can say which until it is read; or what no news names: a policy, which never changes, or a hint. */
export type Subject = RecordName | "client" | "issuer" | "unnamed";

/** What the registry said. */
export interface DatedValue<T> {
  readonly value: T;
  /** Every change that was told up to this epoch is in it; 0: nothing was heard yet. */
  readonly epoch: number;
  /** Every change that was done by then is in it. */
  readonly asOf: Instant;
}

type Db = ReturnType<typeof drizzled>;

// What was heard longer ago says too little: the same five seconds after which a guard does not grant (DESIGN §5).
const youngMilliseconds = 5_000;

/**
 * Reads the registry for one isolate, at whichever copy of the database is near, as long as that copy has every change that the
 * isolate has heard of; else at the primary. Only for reads.
 */
export class RegistryReader {
  readonly #registry: D1Database;
  readonly clock: Clock;
  #newest: Pick<AppliedUpdate, "standing" | "asOf"> | undefined;
  readonly #clientsPending = new Map<string, number>(); // by id, with the epoch of the news: as many as are being written

  constructor(registry: D1Database, clock: Clock) {
    this.#registry = registry;
    this.clock = clock;
  }

  /** Epochs are one count for all clients, so the newest news of any is good for the reads of all. An update that came late changes nothing. */
  apply({ client, standing, asOf }: AppliedUpdate): void {
    const { epoch, pending } = standing;
    const newest = this.#newest;
    if (
      newest === undefined ||
      epoch > newest.standing.epoch ||
      (epoch === newest.standing.epoch && asOf > newest.asOf)
    )
      this.#newest = { standing, asOf };
    // Only a client's own news says whether its record is being written.
    if (epoch < (this.#clientsPending.get(client) ?? 0)) return;
    if (pending.includes(`client/${client}`)) this.#clientsPending.set(client, epoch);
    else this.#clientsPending.delete(client);
  }

  /** False while it is being written: what is read meanwhile is not to be kept. */
  settled(subject: Subject): boolean {
    if (subject === "client") return this.#clientsPending.size === 0;
    if (subject.startsWith("client/")) return !this.#clientsPending.has(subject.slice("client/".length));
    // Origins and issuers are told to all.
    const pending = this.#newest?.standing.pending ?? [];
    return !pending.some((name) => name === subject || name.startsWith(`${subject}/`));
  }

  /** Throws what D1 throws. What a near copy does not have is asked of the primary: it may only not be there yet. */
  async read<T>(
    subject: Subject,
    query: (db: Db) => Promise<T | undefined>,
  ): Promise<DatedValue<T | undefined>> {
    const asked = this.clock();
    const { epoch, bookmark } = this.#newest?.standing ?? { epoch: 0, bookmark: null };
    const asOf = this.#newest?.asOf ?? asked;
    const young = asked - asOf < youngMilliseconds && asked >= asOf;
    if (bookmark !== null && young && this.settled(subject)) {
      const value = await query(drizzled(this.#registry.withSession(bookmark)));
      if (value !== undefined) return { value, epoch, asOf };
    }
    return { value: await query(drizzled(this.#registry.withSession("first-primary"))), epoch, asOf: asked };
  }
}
