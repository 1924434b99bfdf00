import { dayMilliseconds } from "#kernel/clock";
import { DurableObject } from "cloudflare:workers";
import { subjectOf } from "#audit/accounting/line";
import type { KeyList } from "#kernel/key-list";
import { fromCbor } from "#ledger/bytes/cbor";
import { openRow, sealRow } from "./box.ts";
import { type AccountingShelf, shelfNameOf, shelfNumberOf, type ProvableLine } from "./accounting-shelf.ts";
import { regionlessStubs } from "#platform/ledger/client/stubs";
import { type LedgerEnv, readAccountingKeys, readLedgerPlacement } from "#platform/ledger/config";
import { type PackedLines, packRows } from "./packed-lines.ts";
import { lineChunks, putLines, sizeOfLine } from "./put-lines.ts";
import { log } from "#platform/log";
import { askSql, hasTable } from "#platform/ask-sql";

type IntakeEnv = LedgerEnv & { readonly ACCOUNTING_SHELF: DurableObjectNamespace<AccountingShelf> };

// When this many bytes wait (about 15,000 lines), the lines of the fullest part are passed on: some 250 for
// each of its eight shelves. So made-up patients start no shelf before a million lines wait in all intakes,
// and then eight shelves of an intake at once. A look-up opens one part.
const WAITING_BYTES = 8_388_608;
const PARTS = 8;
const BYTES_AT_ONCE = 2_097_152; // held in memory
const SOON_MS = 1_000;
const RETRY_MS = 30_000;
// few lines wait at most this long: a line that its shelf deletes after six years must not remain here
const LATE_MS = 30 * dayMilliseconds;
// spread over a day, never two intakes at once: a flood fills all of them at the same moment
const LATE_STEP_MS = 1_350_000;
const shelfDigits = 3;

const schema = `
  CREATE TABLE IF NOT EXISTS batches (part INTEGER NOT NULL, id INTEGER NOT NULL, bytes INTEGER NOT NULL,
    salt BLOB NOT NULL, box BLOB NOT NULL,
    PRIMARY KEY (part, id)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS contradicted (log TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
`;

interface Waiting {
  readonly bytes: number;
  readonly lastId: number;
}

interface Batch {
  readonly id: number;
  readonly lines: readonly ProvableLine[];
}

/**
 * Takes accounting lines for 64 shelves, whose names begin with the same six bits, and passes them on when
 * there are many. An append may name any number of patients, real or made up: at most 64 calls bring its
 * lines to a place outside the shard. Each call to a shelf brings dozens of lines. Only the ledger's own
 * worker has a binding to this class.
 */
export class AccountingIntake extends DurableObject<IntakeEnv> {
  readonly #accountingKeys: KeyList;
  #next: number | undefined; // time of the alarm, once it is known
  #known: Waiting | undefined;
  #moves = 0; // how often lines got new batches, since their shelves did not take them

  constructor(ctx: DurableObjectState, env: IntakeEnv) {
    super(ctx, env);
    this.#accountingKeys = readAccountingKeys(env);
  }

  /**
   * Stores lines of a log, all or none. "other": a shelf has a different line in the place of an earlier
   * line, and nothing was stored. Shards of an earlier version bring a list.
   */
  async put(lines: PackedLines | readonly ProvableLine[]): Promise<"kept" | "other"> {
    const packed = isList(lines) ? packedOf(lines) : lines;
    if (packed.parts.length === 0) return "kept";
    const { sql } = this.ctx.storage;
    sql.exec(schema);
    if (sql.exec("SELECT 1 FROM contradicted WHERE log = ?", packed.log).toArray().length > 0) return "other";
    this.ctx.storage.transactionSync(() => this.#insert(packed));
    await this.#arm(this.#waiting().bytes >= WAITING_BYTES ? SOON_MS : this.#lateMs);
    return "kept";
  }

  /** Copies all lines for these shelves to the shelves, before they are read. Throws when that fails. */
  async shelve(shelves: readonly string[]): Promise<void> {
    for (const part of new Set(shelves.map((shelf) => intakePartOf(numberOf(shelf))))) {
      // An alarm that runs meanwhile may move lines behind the last batch of this look-up: then it looks again.
      for (let moves = -1; moves !== this.#moves;) {
        moves = this.#moves;
        await this.#shelvePart(part, shelves);
      }
    }
  }

  async #shelvePart(part: number, shelves: readonly string[]): Promise<void> {
    for (const batches of this.#batchesOf(part, this.#readWaiting().lastId)) {
      const { left } = await this.#pass(batches, (shelf) => shelves.includes(shelf));
      if (left.length > 0) throw new Error("ledger: the lines are not on their accounting shelves");
    }
  }

  /**
   * Passes on the lines of the fullest part, or of the next part if a shelf does not answer. When the alarm
   * came only for the lines' age, it passes on all parts. Lines for a shelf that does not answer, or that
   * has a different line in their place, wait here and delay no other shelf's lines.
   */
  override async alarm(): Promise<void> {
    this.#next = undefined; // also if it fails: the runtime gives up after some tries, and the next put sets it again
    const isFull = this.#waiting().bytes >= WAITING_BYTES;
    let isBehind = false;
    for (const part of this.#partsByBytes()) {
      const isPassed = await this.#passPart(part);
      isBehind ||= !isPassed;
      if (isPassed && isFull) break;
    }
    if (this.#waiting().bytes >= WAITING_BYTES) await this.#arm(isBehind ? RETRY_MS : SOON_MS);
    else if (this.#waiting().lastId > 0) await this.#arm(this.#lateMs);
  }

  /** True when every line that this part has now is on its shelf. */
  async #passPart(part: number): Promise<boolean> {
    let isPassed = true;
    for (const batches of this.#batchesOf(part, this.#readWaiting().lastId)) {
      const { left, contradicted } = await this.#pass(batches, () => true);
      isPassed &&= left.length === 0;
      if (left.length > 0) this.#moves += 1;
      try {
        this.ctx.storage.transactionSync(() => {
          for (const log of contradicted)
            this.ctx.storage.sql.exec("INSERT OR IGNORE INTO contradicted VALUES (?)", log);
          for (const [, some] of Map.groupBy(left, ({ log }) => log))
            for (const chunk of lineChunks(some, sizeOfLine)) this.#insert(packedOf(chunk));
          for (const { id } of batches)
            this.ctx.storage.sql.exec("DELETE FROM batches WHERE part = ? AND id = ?", part, id);
        });
      } finally {
        this.#known = undefined; // also when the transaction fails
      }
    }
    return isPassed;
  }

  /**
   * `left`: lines that their shelves did not store. `contradicted`: logs of lines whose places hold
   * different lines.
   */
  async #pass(
    batches: readonly Batch[],
    isMeant: (shelf: string) => boolean,
  ): Promise<{ readonly left: readonly ProvableLine[]; readonly contradicted: ReadonlySet<string> }> {
    const lines = batches
      .flatMap((batch) => batch.lines)
      .filter(({ subject }) => isMeant(shelfNameOf(subject)));
    const left: ProvableLine[] = [];
    const refused: ProvableLine[] = []; // a call stores nothing if a single log's line contradicts
    const shelfOf = regionlessStubs(this.env.ACCOUNTING_SHELF, readLedgerPlacement(this.env));
    const put = (name: string, some: readonly ProvableLine[]) =>
      Promise.resolve(() => shelfOf(name.slice(0, shelfDigits)).put(some));
    await putLines(
      Map.groupBy(lines, ({ subject }) => shelfNameOf(subject)),
      sizeOfLine,
      put,
      (_, some, ended) => {
        if (ended !== "kept") for (const line of some) (ended === "other" ? refused : left).push(line);
      },
    );
    const contradicted = new Set<string>();
    const byLog = Map.groupBy(refused, ({ subject, log }) => `${shelfNameOf(subject)} ${log}`);
    await putLines(byLog, sizeOfLine, put, (_, some, ended) => {
      if (ended !== "kept") for (const line of some) left.push(line);
      if (ended === "other") for (const { log } of some) contradicted.add(log);
    });
    if (left.length > 0)
      log({ event: "accounting_intake_failed", intake: this.ctx.id.name, lines: left.length });
    return { left, contradicted };
  }

  get #lateMs(): number {
    return LATE_MS + Number.parseInt(this.ctx.id.name ?? "0", 16) * LATE_STEP_MS;
  }

  /** Sets the alarm for this delay, unless it comes earlier. */
  async #arm(milliseconds: number): Promise<void> {
    const at = Date.now() + milliseconds;
    this.#next ??= (await this.ctx.storage.getAlarm()) ?? Number.MAX_SAFE_INTEGER;
    if (this.#next <= at) return;
    this.#next = at;
    await this.ctx.storage.setAlarm(at);
  }

  #insert({ parts }: PackedLines): void {
    const { lastId, bytes: before } = this.#waiting();
    const id = lastId + 1;
    let bytes = before;
    this.#known = undefined; // a write may fail
    for (const { part, rows } of parts) {
      const { salt, box } = sealRow(this.#accountingKeys, ["intake", part, id], rows);
      const query = "INSERT INTO batches VALUES (?, ?, ?, ?, ?)";
      this.ctx.storage.sql.exec(query, part, id, box.length, salt, box);
      bytes += box.length;
    }
    this.#known = { bytes, lastId: id };
  }

  /** The batches of a part up to the id `last`, in groups that fit in memory. */
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
        lines: readBatch(openRow(this.#accountingKeys, ["intake", part, row.id], sealed)),
      });
    }
    return batches;
  }

  /** The parts that have lines, the fullest first. */
  #partsByBytes(): readonly number[] {
    if (!this.#exists()) return [];
    const rows = askSql(this.ctx.storage.sql)<{ part: number }>`
      SELECT part FROM batches GROUP BY part ORDER BY sum(bytes) DESC`;
    return rows.map(({ part }) => part);
  }

  /** For a call that adds lines: reading each row for each call would cost more than the lines. */
  #waiting(): Waiting {
    return (this.#known ??= this.#readWaiting());
  }

  /** The bytes of all batches, and their largest id. */
  #readWaiting(): Waiting {
    if (!this.#exists()) return { bytes: 0, lastId: 0 };
    const query = "SELECT coalesce(sum(bytes), 0) AS bytes, coalesce(max(id), 0) AS lastId FROM batches";
    return this.ctx.storage.sql.exec<{ bytes: number; lastId: number }>(query).one();
  }

  /** Reading an unused intake leaves no trace. */
  #exists(): boolean {
    return hasTable(this.ctx.storage.sql, "batches");
  }
}

/** The intake of a shelf: the first six bits of the shelf's name, in hex. */
export const intakeNameOf = (shelf: string): string => intakeNamed(intakeOf(numberOf(shelf)));

/** The first six bits of a shelf's twelve. */
export const intakeOf = (shelf: number): number => shelf >> 6;

export const intakeNamed = (intake: number): string => intake.toString(16).padStart(2, "0");

/** The eighth of an intake that a shelf belongs to: the next three bits of its name. */
export const intakePartOf = (shelf: number): number => (shelf >> 3) % PARTS;

const numberOf = (shelf: string): number => Number.parseInt(shelf, 16);

// a type guard of its own, since `Array.isArray` does not narrow a read-only list
const isList = (lines: PackedLines | readonly ProvableLine[]): lines is readonly ProvableLine[] =>
  Array.isArray(lines);

/** Lines of a single log as an intake stores them. */
function packedOf(lines: readonly ProvableLine[]): PackedLines {
  const byPart = Map.groupBy(lines, ({ subject }) => intakePartOf(shelfNumberOf(subject)));
  return {
    log: lines[0]?.log ?? "",
    parts: Array.from(byPart, ([part, some]) => ({ part, rows: packRows(some) })),
  };
}

function readBatch(plaintext: Uint8Array): readonly ProvableLine[] {
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
    return { subject, log, index, line, lines, content, salt, path, consents: copied(bytes[3]) };
  });
}

/** A call sends the whole buffer under a view: all bytes of the batch. A copy has only its own bytes. */
const copied = (value: unknown): Uint8Array | undefined =>
  value instanceof Uint8Array ? value.slice() : undefined;

const notABatch = (): Error => new Error("accounting: a batch of an intake does not read back");
