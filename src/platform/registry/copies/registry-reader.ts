import type { AppliedUpdate } from "#registry/revocation";
import { ChangeLog, type ListedChange, type Subject } from "./change-log.ts";
import { ageAt, instant, type Clock, type Instant } from "#kernel/clock";
import { aheadMilliseconds, registryLimits } from "./registry-limits.ts";
import { inTime } from "#platform/deadlines";
import { withVersion, type SnapshotSql } from "./snapshot-sql.ts";

/** The state of the registry that was read. */
export interface RegistrySnapshot {
  /** It includes every change up to this epoch. 0: no delta has arrived yet. */
  readonly epoch: number;
  /** It includes every change that was done by then. */
  readonly asOf: Instant;
  /** When the reading began. */
  readonly begun: Instant;
  /** `undefined`: not known, so a copy cannot be compared with it. */
  readonly version: string | undefined;
}

/** A value from the registry, with its age. */
export interface DatedValue<T> extends RegistrySnapshot {
  readonly value: T;
}

// A reading of the changes serves all copies of an isolate for as long as none of them is due to be read again.
const sharedMilliseconds = registryLimits.freshMilliseconds - aheadMilliseconds;
// While one request asks for the changes, further requests use their copies.
const askedMilliseconds = 1_000;

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
  readonly #changes = new ChangeLog();
  #last: RegistrySnapshot | undefined; // the newest reading of the newest known version
  #claimed = instant(0);
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
    query: (db: SnapshotSql) => Promise<T | undefined>,
  ): Promise<DatedValue<T | undefined>> {
    const begun = this.clock();
    const { epoch, bookmark } = this.#newest?.standing ?? { epoch: 0, bookmark: null };
    const asOf = this.#newest?.asOf ?? begun;
    const young = begun - asOf < youngMilliseconds && begun >= asOf;
    if (bookmark !== null && young && this.settled(subject)) {
      const { value, version } = await this.#ask(bookmark, query);
      if (value !== undefined && !this.isChanged(version, subject))
        return this.#dated({ value, version, epoch, asOf, begun });
    }
    const { value, version } = await this.#ask("first-primary", query);
    return this.#dated({ value, version, epoch, asOf: begun, begun });
  }

  async #ask<T>(from: string, query: (db: SnapshotSql) => Promise<T>) {
    const { sql, version } = withVersion(this.#registry.withSession(from));
    return { value: await inTime("registry", () => query(sql)), version: version() };
  }

  #dated<T>(reading: DatedValue<T>): DatedValue<T> {
    if (this.#changes.newest === undefined) this.#changes.restart(reading.version);
    const last = this.#last;
    // A reading of a time that has not come is not the later one: the clock was set back.
    const isLater = last === undefined || last.begun <= reading.begun || last.begun > this.clock();
    if (reading.version !== undefined && reading.version === this.#changes.newest && isLater) {
      const { epoch, asOf, begun, version } = reading;
      this.#last = { epoch, asOf, begun, version };
    }
    return reading;
  }

  /** True if this isolate has read that a record changed after a version. */
  isChanged(version: string | undefined, subject: Subject): boolean {
    return version !== undefined && this.#changes.changedSince(version, subject) === true;
  }

  /**
   * The newest state that this isolate read, if it was read after a copy and the copy's record did not change until
   * then: the copy has the content of that state.
   */
  unchangedSince(
    copy: Pick<RegistrySnapshot, "version" | "begun">,
    subject: Subject,
  ): RegistrySnapshot | undefined {
    const { version, begun } = copy;
    if (version === undefined || this.#last === undefined || this.#last.begun <= begun) return undefined;
    return this.#changes.changedSince(version, subject) === false ? this.#last : undefined;
  }

  /**
   * Asks D1 for the changes since the newest version that this isolate knows: a row for each. One request asks for
   * all. Throws D1's errors.
   * @returns false: another request is asking now.
   */
  async learnChanges(subject: Subject): Promise<boolean> {
    const at = this.clock();
    if (this.#last !== undefined && ageAt(this.#last.begun, at) < sharedMilliseconds) return true;
    if (ageAt(this.#claimed, at) < askedMilliseconds) return false;
    this.#claimed = at;
    const newest = this.#changes.newest;
    const reading = await this.read(subject, async (db) => {
      const questions = newest === undefined ? [] : [db.prepare(changesSince).bind(newest)];
      const [found] = await db.batch(questions);
      // A near copy may lack the version itself; then the primary is asked.
      return found?.results.length === 0 ? undefined : (found?.results ?? []).map(listed);
    });
    if (this.#changes.newest !== newest) return true; // a request that asked later was answered earlier
    const [first, ...changes] = reading.value ?? [];
    const isWhole = changes.length < answeredMax && (changes.at(-1) ?? first)?.version === reading.version;
    if (isWhole) this.#changes.append(changes);
    else {
      this.#changes.restart(reading.version);
      this.#last = undefined;
    }
    this.#dated(reading);
    return true;
  }
}

const listed = ({ version, record }: Record<string, unknown>): ListedChange => ({
  version: String(version),
  record: String(record),
});

// The row of the known version comes first: a registry without it (restored, or a thousand changes later) gives none.
const answeredMax = 1_000;
const changesSince = `select version, record from registry_changes
  where number >= (select number from registry_changes where version = ?) order by number limit ${answeredMax + 1}`;
