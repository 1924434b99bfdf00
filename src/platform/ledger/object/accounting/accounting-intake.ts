import { DurableObject } from "cloudflare:workers";
import { subjectOf } from "#audit/accounting/line";
import type { Secret } from "#kernel/secret";
import { fromCbor, toCbor } from "#ledger/bytes/cbor";
import { openRow, sealRow } from "./box.ts";
import { type AccountingShelf, indexNameOf, type IndexedLine } from "./accounting-shelf.ts";
import { type LedgerEnv, readAccountingKey } from "#platform/ledger/config";
import { putLines } from "./put-lines.ts";

type IntakeEnv = LedgerEnv & { readonly ACCOUNTING_SHELF: DurableObjectNamespace<AccountingShelf> };

// When so many bytes wait, about 15,000 lines, those of the fullest part are passed on: some 250 for each of its eight shelves. So made-up
// patients start no shelf before there are a million lines in all intakes, and then eight of an intake at once. A look-up opens one part.
const WAITING_BYTES = 8_388_608;
const PARTS = 8;
const BYTES_AT_ONCE = 2_097_152; // held in memory
const SOON_MS = 1_000;
const RETRY_MS = 30_000;
const LATE_MS = 30 * 86_400_000; // few lines wait no longer: what a shelf lets go of after six years must not be here still
const LATE_STEP_MS = 1_350_000; // within a day, and no two intakes at once: a flood filled all of them at one moment
const shelfDigits = 3;

const schema = `
  CREATE TABLE IF NOT EXISTS batches (part INTEGER NOT NULL, id INTEGER NOT NULL, bytes INTEGER NOT NULL, salt BLOB NOT NULL, box BLOB NOT NULL,
    PRIMARY KEY (part, id)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS contradicted (log TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
`;

interface Batch {
  readonly id: number;
  readonly lines: readonly IndexedLine[];
}

/**
 * Takes accounting lines for 64 shelves, those whose prefixes begin with the same six bits, and passes them on when there are many: however
 * many patients an append names, real or made up, its lines are in at most 64 calls where they no longer wait in their shard. A shelf is
 * called for dozens of lines at once. Only the ledger's own worker has a binding to it.
 */
export class AccountingIntake extends DurableObject<IntakeEnv> {
  readonly #accountingKey: Secret<Uint8Array>;
  #next: number | undefined; // when the alarm comes, once it is known

  constructor(ctx: DurableObjectState, env: IntakeEnv) {
    super(ctx, env);
    this.#accountingKey = readAccountingKey(env);
  }

  /** Keeps lines of one log, all or none. "other": a shelf has another line in the place of one that came before, and nothing was kept. */
  async put(lines: readonly IndexedLine[]): Promise<"kept" | "other"> {
    const [first] = lines;
    if (first === undefined) return "kept";
    const { sql } = this.ctx.storage;
    sql.exec(schema);
    if (sql.exec("SELECT 1 FROM contradicted WHERE log = ?", first.log).toArray().length > 0) return "other";
    this.#insert(lines);
    await this.#arm(this.#waitingBytes() >= WAITING_BYTES ? SOON_MS : this.#lateMs);
    return "kept";
  }

  /** Takes copies of all lines of some shelves there, before these are read. Throws when that fails. */
  async shelve(shelves: readonly string[]): Promise<void> {
    for (const part of new Set(shelves.map(partOf))) {
      for (const batches of this.#batchesOf(part, this.#lastId())) {
        const { left } = await this.#pass(batches, (shelf) => shelves.includes(shelf));
        if (left.length > 0) throw new Error("ledger: the lines are not on their shelves");
      }
    }
  }

  /**
   * Passes on the lines of the fullest part, or of the next one where a shelf of it does not answer; of all parts when the alarm came for
   * their age alone. Lines of a shelf that does not answer, or has another line in the place of one, wait on and hold up no other shelf's.
   */
  override async alarm(): Promise<void> {
    const isFull = this.#waitingBytes() >= WAITING_BYTES;
    let isBehind = false;
    for (const part of this.#partsByBytes()) {
      const isPassed = await this.#passPart(part);
      isBehind ||= !isPassed;
      if (isPassed && isFull) break;
    }
    this.#next = undefined;
    if (this.#waitingBytes() >= WAITING_BYTES) await this.#arm(isBehind ? RETRY_MS : SOON_MS);
    else if (this.#lastId() > 0) await this.#arm(this.#lateMs);
  }

  /** Whether each of its lines is on its shelf, of those that are here now. */
  async #passPart(part: number): Promise<boolean> {
    let isPassed = true;
    for (const batches of this.#batchesOf(part, this.#lastId())) {
      const { left, contradicted } = await this.#pass(batches, () => true);
      isPassed &&= left.length === 0;
      this.ctx.storage.transactionSync(() => {
        for (const log of contradicted)
          this.ctx.storage.sql.exec("INSERT OR IGNORE INTO contradicted VALUES (?)", log);
        for (const [, some] of Map.groupBy(left, ({ log }) => log)) this.#insert(some);
        for (const { id } of batches)
          this.ctx.storage.sql.exec("DELETE FROM batches WHERE part = ? AND id = ?", part, id);
      });
    }
    return isPassed;
  }

  /** `left`: lines that their shelves did not keep. `contradicted`: logs of lines in whose places others are. */
  async #pass(
    batches: readonly Batch[],
    isMeant: (shelf: string) => boolean,
  ): Promise<{ readonly left: readonly IndexedLine[]; readonly contradicted: ReadonlySet<string> }> {
    const lines = batches
      .flatMap((batch) => batch.lines)
      .filter(({ subject }) => isMeant(indexNameOf(subject)));
    const left: IndexedLine[] = [];
    const mixed: IndexedLine[] = []; // nothing of a call was kept that one log's line contradicts
    const shelfNamed = (name: string) => this.env.ACCOUNTING_SHELF.getByName(name.slice(0, shelfDigits));
    await putLines(
      Map.groupBy(lines, ({ subject }) => indexNameOf(subject)),
      shelfNamed,
      (_, some, ended) => {
        if (ended !== "kept") (ended === "other" ? mixed : left).push(...some);
      },
    );
    const contradicted = new Set<string>();
    const byLog = Map.groupBy(mixed, ({ subject, log }) => `${indexNameOf(subject)} ${log}`);
    await putLines(byLog, shelfNamed, (_, some, ended) => {
      if (ended !== "kept") left.push(...some);
      if (ended === "other") for (const { log } of some) contradicted.add(log);
    });
    if (left.length > 0)
      console.error(
        JSON.stringify({ event: "accounting_intake_failed", intake: this.ctx.id.name, lines: left.length }),
      );
    return { left, contradicted };
  }

  get #lateMs(): number {
    return LATE_MS + Number.parseInt(this.ctx.id.name ?? "0", 16) * LATE_STEP_MS;
  }

  /** Has the alarm come after so long, or before. */
  async #arm(milliseconds: number): Promise<void> {
    const at = Date.now() + milliseconds;
    this.#next ??= (await this.ctx.storage.getAlarm()) ?? Number.MAX_SAFE_INTEGER;
    if (this.#next <= at) return;
    this.#next = at;
    await this.ctx.storage.setAlarm(at);
  }

  #insert(lines: readonly IndexedLine[]): void {
    const id = this.#lastId() + 1;
    for (const [part, own] of Map.groupBy(lines, ({ subject }) => partOf(indexNameOf(subject)))) {
      const rows = own.map(({ log, index, line, lines: count, content, salt, path }) => [
        log,
        index,
        line,
        count,
        content,
        salt,
        path,
      ]);
      const { salt, box } = sealRow(this.#accountingKey, ["intake", part, id], toCbor(rows));
      this.ctx.storage.sql.exec(
        "INSERT INTO batches VALUES (?, ?, ?, ?, ?)",
        part,
        id,
        box.length,
        salt,
        box,
      );
    }
  }

  /** The batches of a part up to one, as many at once as are held in memory. */
  *#batchesOf(part: number, last: number): Generator<readonly Batch[]> {
    for (let id = 0; this.#exists();) {
      const batches = this.#batchesAfter(part, id, last);
      if (batches.length === 0) return;
      id = batches.at(-1)?.id ?? last;
      yield batches;
    }
  }

  #batchesAfter(part: number, id: number, last: number): readonly Batch[] {
    const batches: Batch[] = [];
    const query =
      "SELECT id, bytes, salt, box FROM batches WHERE part = ? AND id > ? AND id <= ? ORDER BY id";
    let bytes = 0;
    for (const row of this.ctx.storage.sql.exec<{
      id: number;
      bytes: number;
      salt: ArrayBuffer;
      box: ArrayBuffer;
    }>(query, part, id, last)) {
      bytes += row.bytes;
      if (batches.length > 0 && bytes > BYTES_AT_ONCE) break;
      const sealed = { salt: new Uint8Array(row.salt), box: new Uint8Array(row.box) };
      batches.push({
        id: row.id,
        lines: readBatch(openRow(this.#accountingKey, ["intake", part, row.id], sealed)),
      });
    }
    return batches;
  }

  /** The parts that have lines, the fullest first. */
  #partsByBytes(): readonly number[] {
    if (!this.#exists()) return [];
    const query = "SELECT part FROM batches GROUP BY part ORDER BY sum(bytes) DESC";
    return this.ctx.storage.sql
      .exec<{ part: number }>(query)
      .toArray()
      .map(({ part }) => part);
  }

  #waitingBytes(): number {
    if (!this.#exists()) return 0;
    return (
      this.ctx.storage.sql.exec<{ bytes: number | null }>("SELECT sum(bytes) AS bytes FROM batches").one()
        .bytes ?? 0
    );
  }

  #lastId(): number {
    if (!this.#exists()) return 0;
    return (
      this.ctx.storage.sql.exec<{ id: number | null }>("SELECT max(id) AS id FROM batches").one().id ?? 0
    );
  }

  /** A look at an intake that nothing was put into leaves no trace. */
  #exists(): boolean {
    return (
      this.ctx.storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'batches'").toArray().length > 0
    );
  }
}

/** The intake of a shelf: the first six bits of its prefix, in hex. */
export const intakeNameOf = (shelf: string): string =>
  (Number.parseInt(shelf.slice(0, 2), 16) >> 2).toString(16).padStart(2, "0");

/** The eighth of an intake that a shelf is in: by the next three bits of its prefix. */
const partOf = (shelf: string): number => (Number.parseInt(shelf, 16) >> 3) % PARTS;

function readBatch(plaintext: Uint8Array): readonly IndexedLine[] {
  const rows: unknown = fromCbor(plaintext);
  if (!Array.isArray(rows)) throw notABatch();
  return rows.map((row: unknown) => {
    const [log, index, line, lines, ...bytes] = Array.isArray(row) ? (row as unknown[]) : []; // checked below
    const [content, salt, path] = [
      copied(bytes[0]),
      copied(bytes[1]),
      Array.isArray(bytes[2]) ? bytes[2].map(copied) : undefined,
    ];
    const subject = content && subjectOf(content);
    const isLine =
      typeof log === "string" &&
      typeof index === "number" &&
      typeof line === "number" &&
      typeof lines === "number";
    if (!isLine || content === undefined || subject === undefined || salt === undefined) throw notABatch();
    if (path?.every((hash): hash is Uint8Array => hash !== undefined) !== true) throw notABatch();
    return { subject, log, index, line, lines, content, salt, path };
  });
}

/** A call sends all the bytes that its bytes are a view of: those of the whole batch. */
const copied = (value: unknown): Uint8Array | undefined =>
  value instanceof Uint8Array ? value.slice() : undefined;

const notABatch = (): Error => new Error("accounting: a batch of an intake does not read back");
