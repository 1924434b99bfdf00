import type { AppliedUpdate, RecordName } from "#registry/revocation";
import type { Clock, Instant } from "#kernel/clock";
import type { RegistrySql } from "./registry-sql.ts";

/**
 * A record that is read; a kind, when the record's name is known only after the read; or `unnamed`, which no
 * delta names: a policy, which never changes, or a hint.
 */
export type Subject = RecordName | "client" | "issuer" | "unnamed";

/** A value from the registry, with its age. */
export interface DatedValue<T> {
  readonly value: T;
  /** The value includes every change up to this epoch. 0: no delta has arrived yet. */
  readonly epoch: number;
  /** The value includes every change that was done by then. */
  readonly asOf: Instant;
}

// Deltas older than this prove too little. A guard grants nothing after the same five seconds (P4).
const youngMilliseconds = 5_000;

/**
 * Reads the registry for one isolate. A nearby copy of the database is used when it has every change that
 * the isolate knows of, and otherwise the primary. Only for reads.
 */
export class RegistryReader {
  readonly #registry: D1Database;
  readonly clock: Clock;
  readonly keepAlive: ((work: Promise<unknown>) => void) | undefined;
  #newest: Pick<AppliedUpdate, "standing" | "asOf"> | undefined;
  // by id, with the delta's epoch: the clients whose records are being written
  readonly #clientsPending = new Map<string, number>();

  /** @param keepAlive lets a read run longer than the request that began it. */
  constructor(registry: D1Database, clock: Clock, keepAlive?: (work: Promise<unknown>) => void) {
    this.#registry = registry;
    this.clock = clock;
    this.keepAlive = keepAlive;
  }

  /**
   * Takes a client's deltas. Epochs are one count for all clients, so the newest deltas of any client are
   * good for all reads. Late deltas change nothing.
   */
  apply({ client, standing, asOf }: AppliedUpdate): void {
    const { epoch, pending } = standing;
    const newest = this.#newest;
    if (
      newest === undefined ||
      epoch > newest.standing.epoch ||
      (epoch === newest.standing.epoch && asOf > newest.asOf)
    )
      this.#newest = { standing, asOf };
    // Only a client's own deltas say that its record is being written.
    if (epoch < (this.#clientsPending.get(client) ?? 0)) return;
    if (pending.includes(`client/${client}`)) this.#clientsPending.set(client, epoch);
    else this.#clientsPending.delete(client);
  }

  /** False while the record is being written: a read meanwhile must not be stored. */
  settled(subject: Subject): boolean {
    if (subject === "client") return this.#clientsPending.size === 0;
    if (subject.startsWith("client/")) return !this.#clientsPending.has(subject.slice("client/".length));
    // All guards receive the deltas of origins and issuers.
    const pending = this.#newest?.standing.pending ?? [];
    return !pending.some((name) => name === subject || name.startsWith(`${subject}/`));
  }

  /**
   * Throws D1's errors. A record that a nearby copy lacks is read from the primary: the copy may only be
   * late.
   */
  async read<T>(
    subject: Subject,
    query: (db: RegistrySql) => Promise<T | undefined>,
  ): Promise<DatedValue<T | undefined>> {
    const begun = this.clock();
    const { epoch, bookmark } = this.#newest?.standing ?? { epoch: 0, bookmark: null };
    const asOf = this.#newest?.asOf ?? begun;
    const young = begun - asOf < youngMilliseconds && begun >= asOf;
    if (bookmark !== null && young && this.settled(subject)) {
      const value = await query(this.#registry.withSession(bookmark));
      if (value !== undefined) return { value, epoch, asOf };
    }
    return { value: await query(this.#registry.withSession("first-primary")), epoch, asOf: begun };
  }
}
