import { DurableObject } from "cloudflare:workers";
import type { RevocationUpdate } from "#registry/revocation";
import { instant, type Instant } from "#kernel/clock";
import { sha256Form } from "#kernel/encoded";
import { GrantWindows } from "#limits/grant-windows";
import { LeaseBook } from "#limits/lease";
import { readLeaseCall, type LeaseAnswer, type LeaseCall } from "#limits/lease-call";
import { GuardEpochs, type RevocationSource } from "./guard-epochs.ts";
import { GuardSubjects } from "./subjects.ts";
import { GuardWindows } from "./windows.ts";

// The most assertions that a client can have alive at once: 300 seconds at 30 a second.
const assertionsMax = 10_000;
const assertionMillisecondsMax = 400_000;
// Isolates' clocks differ from the guard's. An id is stored past the end of its assertion, so that no id is
// forgotten while its assertion still passes.
const graceMilliseconds = 60_000;

interface GuardEnv {
  readonly REVOCATION_FEED: RevocationSource;
}

/**
 * The client whose lease is asked for, and the isolate that asks: it knows the revocations up to `since`, or
 * none.
 */
export interface Asker {
  readonly client: string;
  /** The issuer of the client's tokens. */
  readonly issuer: string;
  readonly since?: number;
}

/**
 * A guard's complete reply: the share of the quota, and the revocations that an isolate must know to use it.
 */
export interface GuardReply {
  readonly answer: LeaseAnswer;
  readonly news: RevocationUpdate;
  /** How long ago the guard read them. */
  readonly newsAgeMilliseconds: number;
}

/**
 * The storage and clock around limits/lease, the revocations, and the ids of used assertions. Each client
 * has one object named by its id, and further objects for its subjects.
 */
export class ClientGuard extends DurableObject {
  readonly #sql: SqlStorage;
  readonly #windows: GuardWindows;
  readonly #book: LeaseBook;
  readonly #subjects: GuardSubjects;
  readonly #epochs: GuardEpochs;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as Cloudflare.Env); // read below, by the only name this object uses
    this.#epochs = new GuardEpochs((env as GuardEnv).REVOCATION_FEED, now); // as wrangler.toml binds it
    this.#sql = state.storage.sql;
    this.#sql.exec(schema);
    this.#windows = new GuardWindows(this.#sql, "windows");
    this.#book = new LeaseBook(crypto.randomUUID(), new GrantWindows(this.#windows.all()));
    this.#subjects = new GuardSubjects(state.storage, now);
  }

  /**
   * Grants a share of a quota's window, together with the revocations. Throws, with nothing written, for a
   * malformed call and while the revocations are unavailable.
   */
  async lease(call: LeaseCall, { client, issuer, since }: Asker): Promise<GuardReply> {
    const read = readLeaseCall(call);
    const epoch = this.#epochs.of(client, issuer);
    const epochRead = await epoch.read();
    const { answer, store } = this.#book.lease(read, now(), epochRead);
    if (store !== undefined) this.#windows.put(store);
    return { answer, news: epoch.updateSince(since), newsAgeMilliseconds: now() - epochRead };
  }

  /**
   * Grants a share of a subject's quota. It includes no revocations, so it is valid only together with a
   * client's lease.
   */
  async leaseOfSubject(call: LeaseCall): Promise<LeaseAnswer> {
    return await this.#subjects.lease(readLeaseCall(call));
  }

  override async alarm(): Promise<void> {
    await this.#subjects.alarm();
  }

  /** Reads the revocations at once: the caller knows that there is a new delta. */
  async heed({ client, issuer }: Asker): Promise<void> {
    await this.#epochs.of(client, issuer).readAnew();
  }

  /** All denials for the client. Throws while the revocations are unavailable. */
  async denials({ client, issuer }: Asker): Promise<RevocationUpdate> {
    const epoch = this.#epochs.of(client, issuer);
    await epoch.read();
    return epoch.updateSince(undefined);
  }

  /**
   * True only for the first call with this id. `idHash`: SHA-256 of the assertion's `jti` in base64url.
   * Throws when the assertion would live longer than any profile allows, or when there is no room for
   * further live assertions.
   */
  assertionOnce(idHash: string, expires: Instant): boolean {
    const at = now();
    if (!sha256Form.test(idHash) || !(expires <= at + assertionMillisecondsMax))
      throw new Error("not the hash and expiry of an assertion");
    if (expires <= at - graceMilliseconds) return false;
    this.#sql.exec("DELETE FROM assertions WHERE expires < ?", at - graceMilliseconds);
    const { alive } = this.#sql.exec<{ alive: number }>("SELECT count(*) AS alive FROM assertions").one();
    if (alive >= assertionsMax) throw new Error("too many assertions of this client are alive");
    return (
      this.#sql
        .exec(
          "INSERT OR IGNORE INTO assertions (id_hash, expires) VALUES (?, ?) RETURNING 1",
          idHash,
          expires,
        )
        .toArray().length === 1
    );
  }
}

const schema = `
  CREATE TABLE IF NOT EXISTS assertions (id_hash TEXT PRIMARY KEY, expires INTEGER NOT NULL) STRICT,
    WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS assertions_by_expiry ON assertions (expires);
`;

const now = (): Instant => instant(Date.now());
