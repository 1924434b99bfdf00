import type { MergeMode } from "#registry/merge";
import {
  denialGraceMilliseconds,
  type Delta,
  type RevocationUpdate,
  type RecordName,
  type RegistryPosition,
} from "#registry/revocation";
import { instant, type Instant } from "#kernel/clock";
import type { Listener } from "#platform/guard/object/guard-epochs";
import { type AskSql, askSql } from "#platform/ask-sql";

/** The guards that receive a delta: one client's guard, the guards of one issuer's clients, or all. */
interface DeltaReceivers {
  readonly client: string | null;
  readonly issuer: string | null;
}

/** `approved`: the document is an approved change (`ApprovedChange`). */
export type PendingMode = MergeMode | "approved";

/** A denial in force. */
export interface LiveDenial {
  readonly name: string;
  /** `null`: until it is lifted. */
  readonly until: Instant | null;
}

interface Pending {
  readonly id: number;
  readonly document: string;
  readonly mode: PendingMode;
}

/** A write that is done: the records that it changed, and the position after it. */
export interface DoneChange extends Pick<RegistryPosition, "epoch" | "bookmark"> {
  readonly records: readonly RecordName[];
  /** Pseudonyms of the Consents that found no room, so that they are not filed. */
  readonly refused?: readonly string[];
}

interface UnfiledConsents {
  readonly id: number;
  readonly begun: Instant;
}

// Two hours with a change each second. A guard that was away longer receives a snapshot.
const deltasMax = 7_200;
const sweepDeltas = 256; // a search for the oldest counts all rows
// 10 MB at 100 bytes each. More live denials than that are a misuse, and no denial may be forgotten.
const denialsMax = 100_000;
// A denial of a person lasts until it is lifted: half the room is left for the others.
const deniedPersonsMax = 50_000;
// All names of persons, and no other name, lie between these two (identity/denial).
const personsBetween = ['["person",', '["person"-'] as const;
/** A token of the patient alone, a consent registrar, or each other client: the first has its turn first. */
export const consentAuthorities = ["patient", "registrar", "none"] as const;
export type ConsentAuthority = (typeof consentAuthorities)[number];

/** A client that changes Consents, which takes part of the room of its authority. */
export interface ConsentWriter {
  readonly client: string;
  readonly authority: ConsentAuthority;
}

// Each answer to a guard names the announced records, so there must be few. The patients' own changes have a room that
// no other writer takes.
const announcedMax: Readonly<Record<ConsentAuthority, number>> = { patient: 200, registrar: 200, none: 100 };
// Further changes wait for D1 without an announcement. While D1 does not answer, each is a row of at most 64 KiB for
// each of its Consents.
const unannouncedMax: Readonly<Record<ConsentAuthority, number>> = {
  patient: 1_000,
  registrar: 1_000,
  none: 500,
};
const allListed = ""; // no origin has this name

/**
 * Stores the denials, each delta with its epoch, and the registry writes that are not known to be done. No number is
 * used twice, even if the storage was lost or restored to an earlier time: an object's first epoch and its first number
 * of a change are at least the milliseconds at its start, and it makes fewer than a thousand changes a second over its life. A listener would
 * take a repeated epoch for one that it knows, and a Consent's newest version is the one with the highest number.
 */
export class RevocationStore {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #ask: AskSql;
  readonly #started: Instant;

  /** @param started when the object started. */
  constructor(storage: DurableObjectStorage, started: Instant) {
    this.#started = started;
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#ask = askSql(storage.sql);
    this.#sql.exec(schema);
  }

  news(
    { client, issuers: [first = "", second = ""] }: Listener,
    since: number | undefined,
    at: Instant,
  ): RevocationUpdate {
    const { from, ...standing } = this.#standing(client);
    const { epoch } = standing;
    const receivers = [client, first, second];
    if (since !== undefined && since >= from && since <= epoch) {
      const rows = this.#sql.exec<DeltaRow>(
        `SELECT epoch, kind, name, until FROM deltas WHERE epoch > ? AND ${isReceiver}`,
        since,
        ...receivers,
      );
      return { kind: "deltas", since, ...standing, deltas: rows.toArray().map(deltaOf) };
    }
    const rows = this.#sql.exec<{ name: string; until: number | null }>(
      `SELECT name, until FROM denials WHERE (until IS NULL OR until > ?) AND ${isReceiver}`,
      at - denialGraceMilliseconds,
      ...receivers,
    );
    return {
      kind: "whole",
      ...standing,
      denied: rows.toArray().map(({ name, until }) => ({ name, until: instantOrNull(until) })),
    };
  }

  /** The names of the live denials in the order of their names, at most this number. */
  live(at: Instant, most: number): readonly LiveDenial[] {
    const rows = this.#ask<{ name: string; until: number | null }>`
      SELECT name, until FROM denials WHERE until IS NULL OR until > ${at} ORDER BY name LIMIT ${most}`;
    return rows.map(({ name, until }) => ({ name, until: instantOrNull(until) }));
  }

  /** A repeated denial changes nothing. Throws when there is no room for a further denial. */
  deny(name: string, receivers: DeltaReceivers, until: Instant | null, at: Instant): void {
    this.#storage.transactionSync(() => {
      const ended = at - denialGraceMilliseconds;
      this.#ask`DELETE FROM denial_epochs WHERE name IN (SELECT name FROM denials WHERE until < ${ended})`;
      this.#ask`DELETE FROM denials WHERE until < ${ended}`;
      const { live } = this.#sql.exec<{ live: number }>("SELECT count(*) AS live FROM denials").one();
      if (live >= denialsMax) throw new Error("too many live denials");
      if (name.startsWith(personsBetween[0]) && this.#deniedPersons() >= deniedPersonsMax)
        throw new Error("too many denied persons");
      const [known] = this.#ask<{ until: number | null }>`SELECT until FROM denials WHERE name = ${name}`;
      // The later of two ends counts: only lifting a denial shortens it.
      if (known !== undefined && (known.until === null || (until !== null && known.until >= until))) return;
      const { client, issuer } = receivers;
      this.#ask`INSERT OR REPLACE INTO denials (name, client, issuer, until)
        VALUES (${name}, ${client}, ${issuer}, ${until})`;
      this.#addDelta("denied", name, receivers, until);
      this.#ask`INSERT OR REPLACE INTO denial_epochs (name, epoch) SELECT ${name}, max(epoch) FROM deltas`;
    });
  }

  #deniedPersons(): number {
    const sql = "SELECT count(*) AS live FROM denials WHERE name BETWEEN ? AND ?";
    return this.#sql.exec<{ live: number }>(sql, ...personsBetween).one().live;
  }

  /** How many of a client's denials will end by themselves: the tokens that the client revoked. */
  ending(client: string, at: Instant): number {
    const sql = "SELECT count(*) AS live FROM denials WHERE client = ? AND until > ?";
    return this.#sql.exec<{ live: number }>(sql, client, at - denialGraceMilliseconds).one().live;
  }

  /**
   * The epoch that put a denial in force: a later denial of the same name has a later epoch. `undefined`: no denial
   * of this name. 0: the denial is older than the epochs of denials.
   */
  deniedSince(name: string): number | undefined {
    return this.#ask<{ epoch: number }>`
      SELECT coalesce(e.epoch, 0) AS epoch FROM denials d LEFT JOIN denial_epochs e ON e.name = d.name
      WHERE d.name = ${name}`[0]?.epoch;
  }

  /** `since`: lifts only the denial that this epoch put in force (`deniedSince`). */
  lift(name: string, receivers: DeltaReceivers, since?: number): boolean {
    return this.#storage.transactionSync(() => {
      if (since !== undefined && this.deniedSince(name) !== since) return false;
      this.#ask`DELETE FROM denial_epochs WHERE name = ${name}`;
      const lifted = this.#ask`DELETE FROM denials WHERE name = ${name} RETURNING 1`.length > 0;
      if (lifted) this.#addDelta("lifted", name, receivers, null);
      return lifted;
    });
  }

  /**
   * Stores a registry write before it is done, and adds its deltas. `id`: a write that had begun before,
   * which takes these records too.
   */
  begin(
    id: number | undefined,
    document: string,
    mode: PendingMode,
    records: readonly RecordName[],
    at: Instant,
  ): number {
    return this.#storage.transactionSync(() => {
      const begun = id ?? this.#insertPending(document, mode, at);
      for (const record of records) {
        this.#ask`INSERT OR IGNORE INTO pending_records (pending, name) VALUES (${begun}, ${record})`;
        this.#addDelta("changed", record, receiversOf(record), null);
      }
      return begun;
    });
  }

  #insertPending(document: string, mode: PendingMode | "consent", at: Instant): number {
    const text = `INSERT INTO pending (id, document, mode, begun) VALUES (${numberAfter("pending")}, ?, ?, ?)`;
    return this.#sql.exec<{ id: number }>(`${text} RETURNING id`, this.#started, document, mode, at).one().id;
  }

  /**
   * Adds a second delta for each record that the write named, since its new state is now known. `bookmark`:
   * the database's bookmark after the write; `null` when D1 gave none. `further`: records that the write turned
   * out to change too.
   */
  finish(id: number, bookmark: string | null, further: readonly RecordName[] = []): DoneChange {
    return this.#storage.transactionSync(() => {
      this.#move(id, bookmark);
      this.#announce(id, further);
      const records = this.#end(id);
      const { from: _from, ...position } = this.#position();
      return { records, ...position };
    });
  }

  /** Removes a write, and adds a delta for each record that it named. */
  #end(id: number): readonly RecordName[] {
    const records = this.#ask<{ name: RecordName }>`
      DELETE FROM pending_records WHERE pending = ${id} RETURNING name`;
    for (const { name } of records) this.#addDelta("changed", name, receiversOf(name), null);
    this.#ask`DELETE FROM consent_writers WHERE pending = ${id}`;
    this.#ask`DELETE FROM unannounced_consents WHERE pending = ${id}`;
    this.#ask`DELETE FROM pending WHERE id = ${id}`;
    return records.map(({ name }) => name);
  }

  /** The pending registry files, in the order of their arrival. */
  pending(): readonly Pending[] {
    return this.#ask<Pending>`
      SELECT id, document, mode FROM pending WHERE mode <> 'consent' ORDER BY id`;
  }

  /**
   * Begins a change of consents whose content is not known yet. Its number orders the changes of a Consent. It is
   * announced if the writer has room for its records among those that each guard is told. Throws when the writer has
   * too many changes pending.
   *
   * @param writer undefined for a reading at the origin, which names no record yet.
   */
  beginConsents(
    origin: string,
    records: readonly RecordName[],
    writer: ConsentWriter | undefined,
    at: Instant,
  ): number {
    return this.#storage.transactionSync(() => {
      this.#ask`INSERT OR IGNORE INTO consent_origins (name) VALUES (${origin})`;
      const isAnnounced = writer === undefined || this.#mayAnnounce(origin, writer, records);
      if (!isAnnounced && !this.#mayWait(origin, writer)) throw new Error("too many consents are pending");
      const id = this.#insertPending("", "consent", at);
      if (writer !== undefined)
        this.#ask`INSERT INTO consent_writers (pending, client, authority)
          VALUES (${id}, ${clientAt(origin, writer)}, ${writer.authority})`;
      if (isAnnounced) this.#announce(id, records);
      else this.#ask`INSERT INTO unannounced_consents (pending) VALUES (${id})`;
      return id;
    });
  }

  /** Answers whether these records may be announced, by the room of the writer's origin, client and patients. */
  #mayAnnounce(origin: string, writer: ConsentWriter, records: readonly RecordName[]): boolean {
    const held = this.#ask<{ client: string; name: string; many: number }>`
      SELECT client, name, count(*) AS many FROM consent_writers JOIN pending_records USING (pending)
      WHERE authority = ${writer.authority} GROUP BY client, name`;
    const at = clientAt(origin, writer);
    const free = (name: RecordName) =>
      isRoomLeft(announcedMax[writer.authority], records.length, held, [
        ({ client }) => client.startsWith(`${origin} `),
        ({ client }) => client === at,
        (each) => each.client === at && each.name === name,
      ]);
    return records.every(free);
  }

  /** Answers whether a writer may have one more change pending that is not announced. */
  #mayWait(origin: string, writer: ConsentWriter): boolean {
    const held = this.#ask<{ client: string; many: number }>`
      SELECT client, count(*) AS many FROM consent_writers
      JOIN unannounced_consents USING (pending) WHERE authority = ${writer.authority} GROUP BY client`;
    const at = clientAt(origin, writer);
    return isRoomLeft(unannouncedMax[writer.authority], 1, held, [
      ({ client }) => client.startsWith(`${origin} `),
      ({ client }) => client === at,
    ]);
  }

  /** Whose change it is. A reading at the origin has no writer. */
  consentAuthority(id: number): ConsentAuthority {
    return (
      this.#ask<{ authority: ConsentAuthority }>`
        SELECT authority FROM consent_writers WHERE pending = ${id}`[0]?.authority ?? "none"
    );
  }

  #announce(id: number, records: readonly RecordName[]): void {
    for (const record of records) {
      const isNew = this.#ask`
        INSERT OR IGNORE INTO pending_records (pending, name) VALUES (${id}, ${record}) RETURNING 1`;
      if (isNew.length > 0) this.#addDelta("changed", record, receiversOf(record), null);
    }
  }

  /**
   * Stores the content of a change of consents, and the records that it names. False when the change was given
   * up meanwhile.
   */
  putConsents(id: number, document: string, records: readonly RecordName[]): boolean {
    return this.#storage.transactionSync(() => {
      const isPending = this.#ask`
        UPDATE pending SET document = ${document} WHERE id = ${id} AND mode = 'consent' RETURNING 1`;
      const isAnnounced = this.#ask`SELECT 1 FROM unannounced_consents WHERE pending = ${id}`.length === 0;
      if (isPending.length > 0 && isAnnounced) this.#announce(id, records);
      return isPending.length > 0;
    });
  }

  /** The names among these of which a change is pending. */
  pendingConsentNames(asked: readonly RecordName[]): readonly RecordName[] {
    const rows = this.#ask<{ name: RecordName }>`
      SELECT DISTINCT name FROM pending_records WHERE name IN (SELECT value FROM json_each(${JSON.stringify(asked)}))`;
    return rows.map(({ name }) => name);
  }

  /**
   * The contents of the pending changes of consents that name one of these records, in their order. A change without
   * content has `""`.
   */
  pendingConsents(asked: readonly RecordName[]): readonly string[] {
    const found = this.#ask<{ document: string }>`
      SELECT document FROM pending WHERE mode = 'consent' AND id IN (
        SELECT pending FROM pending_records WHERE name IN (SELECT value FROM json_each(${JSON.stringify(asked)})))
      ORDER BY id`;
    return found.map(({ document }) => document);
  }

  /** The pending changes of consents: the patients' own first, then the registrars', each in their order. */
  unfiledConsents(): readonly UnfiledConsents[] {
    return this.#ask<UnfiledConsents>`
      SELECT id, begun FROM pending LEFT JOIN consent_writers ON pending = id WHERE mode = 'consent'
      ORDER BY authority IS 'patient' DESC, authority IS 'registrar' DESC, id`;
  }

  /** The content of a pending change of consents; `""`: it is not known. Undefined: the change has ended. */
  consentDocument(id: number): string | undefined {
    return this.#ask<{ document: string }>`
      SELECT document FROM pending WHERE id = ${id} AND mode = 'consent'`[0]?.document;
  }

  /** Ends a change that wrote nothing. */
  giveUp(id: number): void {
    this.#storage.transactionSync(() => this.#end(id));
  }

  #standing(client: string): RegistryPosition & { readonly from: number } {
    const pending = this.#ask<{ name: RecordName }>`
      SELECT DISTINCT name FROM pending_records WHERE name = 'client/' || ${client} OR name NOT GLOB 'client/*'`;
    return {
      ...this.#position(),
      pending: pending.map(({ name }) => name),
      consentOrigins: this.consentOrigins(),
    };
  }

  #position(): Pick<RegistryPosition, "epoch" | "bookmark"> & { readonly from: number } {
    return this.#sql
      .exec<{ from: number; epoch: number; bookmark: string | null }>(
        `SELECT coalesce(min(epoch), 1) - 1 AS "from", coalesce(max(epoch), 0) AS epoch,
          (SELECT bookmark FROM standing WHERE lost_up_to IS NULL) AS bookmark FROM deltas`,
      )
      .one();
  }

  /** Undefined: the origins whose Consents D1 has were not asked for since this storage began. */
  consentOrigins(): readonly string[] | undefined {
    const names = this.#ask<{ name: string }>`SELECT name FROM consent_origins`.map(({ name }) => name);
    return names.includes(allListed) ? names.filter((name) => name !== allListed) : undefined;
  }

  /** Takes the origins whose Consents D1 has. */
  putConsentOrigins(names: readonly string[]): void {
    this.#storage.transactionSync(() => {
      for (const name of [...names, allListed])
        this.#ask`INSERT OR IGNORE INTO consent_origins (name) VALUES (${name})`;
    });
  }

  /**
   * The bookmark only moves forward. Bookmarks sort by age (Cloudflare D1, glossary), and writes may be
   * reported done in a different order than they were done. After a write without a bookmark there is none,
   * until a write that began later brings a bookmark that is surely after both.
   */
  #move(id: number, bookmark: string | null): void {
    this.#ask`INSERT OR IGNORE INTO standing (only_row, bookmark, lost_up_to) VALUES (1, '', NULL)`;
    if (bookmark === null)
      this.#ask`UPDATE standing SET lost_up_to = (SELECT seq FROM sqlite_sequence WHERE name = 'pending')`;
    else
      this.#ask`UPDATE standing SET bookmark = max(bookmark, ${bookmark}),
        lost_up_to = iif(lost_up_to < ${id}, NULL, lost_up_to)`;
  }

  /** The newest row always stays. */
  #addDelta(
    kind: Delta["kind"],
    name: string,
    { client, issuer }: DeltaReceivers,
    until: Instant | null,
  ): void {
    const { epoch } = this.#sql
      .exec<{ epoch: number }>(
        `INSERT INTO deltas (epoch, kind, name, client, issuer, until)
         VALUES (${numberAfter("deltas")}, ?, ?, ?, ?, ?) RETURNING epoch`,
        this.#started,
        kind,
        name,
        client,
        issuer,
        until,
      )
      .one();
    if (epoch % sweepDeltas !== 0) return;
    this.#ask`DELETE FROM deltas
      WHERE epoch <= (SELECT epoch FROM deltas ORDER BY epoch DESC LIMIT 1 OFFSET ${deltasMax})`;
  }
}

/** The next number of a table, and at least the number that is bound. */
const numberAfter = (table: "deltas" | "pending"): string =>
  `max((SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = '${table}'), ?)`;

/** The client of a writer at an origin; no id of a client has a space. */
const clientAt = (origin: string, { client }: ConsentWriter): string => `${origin} ${client}`;

/**
 * Answers whether there is room for some more. Each share takes at most what is then still free of the share around
 * it: so there is always room for another origin, for another client, and for another patient of the same client.
 *
 * @param shares from the widest to the narrowest.
 */
function isRoomLeft<Held extends { readonly many: number }>(
  room: number,
  more: number,
  held: readonly Held[],
  shares: readonly ((each: Held) => boolean)[],
): boolean {
  let free = room;
  for (const isOfShare of [() => true, ...shares]) {
    const taken = held.filter(isOfShare).reduce((sum, { many }) => sum + many, more);
    if (taken > free) return false;
    free -= taken;
  }
  return true;
}

const isReceiver = "(client IS NULL OR client = ?) AND (issuer IS NULL OR issuer IN (?, ?))";

const schema = `
  CREATE TABLE IF NOT EXISTS denials (name TEXT PRIMARY KEY, client TEXT, issuer TEXT,
    until INTEGER) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS denial_epochs (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL)
    STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS denials_by_end ON denials (until);
  CREATE TABLE IF NOT EXISTS deltas (
    epoch INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name TEXT NOT NULL, client TEXT,
    issuer TEXT, until INTEGER
  ) STRICT;
  CREATE TABLE IF NOT EXISTS pending (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document TEXT NOT NULL, mode TEXT NOT NULL, begun INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS pending_records (pending INTEGER NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (pending, name)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS consent_writers (pending INTEGER PRIMARY KEY, client TEXT NOT NULL,
    authority TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS unannounced_consents (pending INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE IF NOT EXISTS standing (only_row INTEGER PRIMARY KEY, bookmark TEXT NOT NULL,
    lost_up_to INTEGER) STRICT;
  CREATE TABLE IF NOT EXISTS consent_origins (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
`;

interface DeltaRow extends Record<string, SqlStorageValue> {
  epoch: number;
  kind: Delta["kind"];
  name: string;
  until: number | null;
}

function deltaOf({ epoch, kind, name, until }: DeltaRow): Delta {
  switch (kind) {
    case "denied":
      return { epoch, kind, name, until: instantOrNull(until) };
    case "lifted":
      return { epoch, kind, name };
    case "changed":
      return { epoch, kind, name: name as RecordName }; // `begin` stored it
  }
}

/** A client's record concerns its own guard; origins and issuers concern all guards. */
function receiversOf(record: RecordName): DeltaReceivers {
  return { client: record.startsWith("client/") ? record.slice("client/".length) : null, issuer: null };
}

const instantOrNull = (milliseconds: number | null): Instant | null =>
  milliseconds === null ? null : instant(milliseconds);
