import { DurableObject } from "cloudflare:workers";
import { accountingYears } from "#audit/accounting/accounting-years";
import type { Suspension } from "#audit/accounting/suspension";
import type { LineFilter } from "#audit/accounting/disclosures";
import { judgeLine } from "#audit/accounting/line-filter";
import { compareLogs, type LinePlace, placeText } from "#audit/accounting/line-place";
import type { LinePart, RowBudget } from "#audit/accounting/merge-lines";
import { dayMilliseconds, instant, type Instant } from "#kernel/clock";
import type { KeyList } from "#kernel/key-list";
import { utf8 } from "#kernel/encoded";
import { fromUtf8, sameBytes } from "#ledger/bytes/bytes";
import { fromCbor, toCbor } from "#ledger/bytes/cbor";
import { lineCommitment } from "#ledger/leaf/lines";
import { endOf, halfYearOf } from "#ledger/log-name";
import { askSql, hasTable } from "#platform/ask-sql";
import { openRow, sealRow } from "./box.ts";
import type { LineOfRow } from "./packed-lines.ts";
import { type LedgerEnv, readAccountingKeys } from "#platform/ledger/config";

/** A line on its way to its shelf, with its proof. */
export interface ProvableLine extends LineOfRow {
  readonly subject: Uint8Array; // 32 bytes
}

const LATE_RECORD_MS = dayMilliseconds; // a log takes records for a moment after its half-year
// An event has the time of its request's arrival. No request lasts this long.
const LONGEST_REQUEST_MS = 7 * dayMilliseconds;
const ROWS_A_TURN = 100; // a few milliseconds
const ROWS_A_CALL = 2_000;
const LINES_A_CALL = 250; // about 200 KB

/** A query for a patient's lines: the place after which they begin, and the filter. */
export interface LineQuery {
  readonly subject: Uint8Array;
  readonly after: LinePlace | undefined;
  readonly filter: LineFilter;
  readonly without: readonly string[];
}

// The subject comes first: a patient's lines lie together, and no index costs a second row for each line.
const schema = `
  CREATE TABLE IF NOT EXISTS lines (subject BLOB NOT NULL, log TEXT NOT NULL, leaf INTEGER NOT NULL,
    line INTEGER NOT NULL,
    commitment BLOB NOT NULL, salt BLOB NOT NULL, box BLOB NOT NULL, PRIMARY KEY (subject, log, leaf,
    line)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS holds (subject BLOB NOT NULL, id TEXT NOT NULL, salt BLOB NOT NULL,
    box BLOB NOT NULL, PRIMARY KEY (subject, id)) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS swept (id INTEGER PRIMARY KEY CHECK (id = 1), half_year TEXT NOT NULL) STRICT;
`;

/**
 * A shelf: the index of accounting lines of the patients whose subject keys begin with the same 12 bits.
 * Lines are added and never changed. Only the ledger's own worker has a binding to this class: shards bring
 * lines, and the recorded entry point `Disclosures` reads them.
 */
export class AccountingShelf extends DurableObject<LedgerEnv> {
  readonly #accountingKeys: KeyList;
  #swept: string | undefined;

  constructor(ctx: DurableObjectState, env: LedgerEnv) {
    super(ctx, env);
    // nothing more of the configuration: thousands of shelves start with each drain
    this.#accountingKeys = readAccountingKeys(env);
  }

  /**
   * Stores lines, all or none. "other": a line is here already with different content, and nothing was
   * stored. A repeated line succeeds.
   */
  async put(lines: readonly ProvableLine[]): Promise<"kept" | "other"> {
    const { sql } = this.ctx.storage;
    sql.exec(schema);
    this.#sweep(instant(Date.now()));
    const wanted = new Map<
      string,
      { readonly line: ProvableLine; readonly commitment: Uint8Array; readonly there: Uint8Array | undefined }
    >();
    for (const line of lines) {
      const commitment = lineCommitment(line.salt, line.content);
      const place = `${Buffer.from(line.subject).toString("hex")}/${placeText(line)}`;
      // a repeated line may also be repeated within a call
      const there = wanted.get(place)?.commitment ?? this.#commitmentAt(line);
      if (there !== undefined && !sameBytes(there, commitment)) return "other";
      if (!wanted.has(place)) wanted.set(place, { line, commitment, there });
    }
    this.ctx.storage.transactionSync(() => {
      for (const { line, commitment, there } of wanted.values()) {
        if (there !== undefined) continue;
        const { consents = new Uint8Array() } = line;
        // most lines; their proof is empty
        const isAlone = line.lines === 1 && line.path.length === 0 && consents.length === 0;
        const proof = isAlone ? [] : [line.lines, line.path];
        const beside = consents.length === 0 ? [] : [consents];
        const plaintext = toCbor([line.content, line.salt, ...proof, ...beside]);
        const { salt, box } = sealRow(this.#accountingKeys, placeOf(line), plaintext);
        askSql(sql)`INSERT INTO lines
          VALUES (${line.subject}, ${line.log}, ${line.index}, ${line.line}, ${commitment}, ${salt}, ${box})`;
      }
    });
    return "kept";
  }

  /**
   * A patient's lines in the order of their places, beginning after a place, without lines to the recipients
   * `without`. It reads no more rows than its budget, and returns at most a page. Throws when a row does not
   * open.
   */
  async linesAfter(
    { subject, after, filter, without }: LineQuery,
    left: RowBudget,
  ): Promise<LinePart<ProvableLine>> {
    const lines: ProvableLine[] = [];
    const read = { rows: 0, withheld: 0 };
    if (!this.#exists()) return { lines, upTo: undefined, read };
    const most = { rows: Math.min(left.rows, ROWS_A_CALL), withheld: Math.min(left.withheld, ROWS_A_CALL) };
    for (const log of this.#logsOf(subject, after, filter)) {
      let upTo: LinePlace = after?.log === log ? after : { log, index: -1, line: -1 };
      for (
        let rows = this.#rowsAfter(subject, upTo);
        rows.length > 0;
        rows = this.#rowsAfter(subject, upTo)
      ) {
        for (const { leaf, line, ...sealed } of rows) {
          upTo = { log, index: leaf, line };
          const place = { subject, ...upTo };
          const [content, salt, count, path, consents] = readRow(
            openRow(this.#accountingKeys, placeOf(place), boxOf(sealed)),
          );
          const judged = judgeLine(content, filter, without);
          read[judged === "withheld" ? "withheld" : "rows"] += 1;
          if (judged === "listed") lines.push({ ...place, content, salt, lines: count, path, consents });
          const isFull =
            lines.length >= LINES_A_CALL || read.rows >= most.rows || read.withheld >= most.withheld;
          if (isFull) return { lines, upTo, read };
        }
        await scheduler.wait(0); // shards put lines meanwhile
      }
    }
    return { lines, upTo: undefined, read };
  }

  /**
   * Stores a suspension (45 CFR 164.528(a)(2)) under its id, and replaces an earlier suspension with that
   * id.
   */
  async hold(subject: Uint8Array, hold: Suspension): Promise<void> {
    const { sql } = this.ctx.storage;
    sql.exec(schema);
    const place = ["hold", subject, hold.id];
    const { salt, box } = sealRow(this.#accountingKeys, place, utf8(JSON.stringify(hold)));
    askSql(sql)`INSERT OR REPLACE INTO holds VALUES (${subject}, ${hold.id}, ${salt}, ${box})`;
  }

  /** All suspensions of a patient, ended or not. */
  async holdsOf(subject: Uint8Array): Promise<readonly Suspension[]> {
    if (!this.#exists()) return [];
    const rows = askSql(this.ctx.storage.sql)<SealedColumns & { id: string }>`
      SELECT id, salt, box FROM holds WHERE subject = ${subject}`;
    return rows.map(({ id, ...sealed }) => {
      const text = fromUtf8(openRow(this.#accountingKeys, ["hold", subject, id], boxOf(sealed))) ?? "";
      return JSON.parse(text) as Suspension; // the seal proves that `hold` wrote it
    });
  }

  /**
   * Once in each half-year, deletes the lines of logs that no accounting of six years covers any more, and
   * that may be deleted whole.
   */
  #sweep(now: Instant): void {
    const current = halfYearOf(now);
    if (this.#swept === current) return;
    const { sql } = this.ctx.storage;
    const [last] = sql.exec<{ half_year: string }>("SELECT half_year FROM swept").toArray();
    if (last?.half_year !== current) {
      const oldest = new Date(now - LATE_RECORD_MS);
      oldest.setUTCFullYear(oldest.getUTCFullYear() - accountingYears);
      this.ctx.storage.transactionSync(() => {
        // s<n>-<yyyy>h<1|2>
        sql.exec("DELETE FROM lines WHERE substr(log, -6) < ?", halfYearOf(instant(oldest.getTime())));
        sql.exec("INSERT OR REPLACE INTO swept VALUES (1, ?)", current);
      });
    }
    this.#swept = current;
  }

  /**
   * The logs with lines of a patient, in order, beginning with the log of a place. Only logs that may have
   * records of the time are listed.
   */
  #logsOf(
    subject: Uint8Array,
    after: LinePlace | undefined,
    { from, to }: Pick<LineFilter, "from" | "to">,
  ): readonly string[] {
    const logs: string[] = [];
    // one seek for each log, however many lines it has
    const next = (log: string) =>
      askSql(this.ctx.storage.sql)<{ log: string }>`
        SELECT log FROM lines WHERE subject = ${subject} AND log > ${log} ORDER BY log LIMIT 1`[0]?.log;
    for (let log = next(""); log !== undefined; log = next(log)) logs.push(log);
    return logs
      .filter((log) => (after === undefined || compareLogs(log, after.log) >= 0) && mayHold(log, from, to))
      .toSorted(compareLogs);
  }

  /** The next rows of a patient in the log of a place. */
  #rowsAfter(subject: Uint8Array, { log, index, line }: LinePlace) {
    return askSql(this.ctx.storage.sql)<SealedColumns & { leaf: number; line: number }>`
      SELECT leaf, line, salt, box FROM lines
      WHERE subject = ${subject} AND log = ${log} AND (leaf, line) > (${index}, ${line})
      ORDER BY leaf, line LIMIT ${ROWS_A_TURN}`;
  }

  #commitmentAt({ subject, log, index, line }: ProvableLine): Uint8Array | undefined {
    const [row] = askSql(this.ctx.storage.sql)<{ commitment: ArrayBuffer }>`
      SELECT commitment FROM lines
      WHERE subject = ${subject} AND log = ${log} AND leaf = ${index} AND line = ${line}`;
    return row && new Uint8Array(row.commitment);
  }

  /** Reading an unused shelf leaves no trace. */
  #exists(): boolean {
    return hasTable(this.ctx.storage.sql, "holds");
  }
}

/** The name of a subject key's shelf: its first 12 bits in hex. */
export const shelfNameOf = (subject: Uint8Array): string => shelfNamed(shelfNumberOf(subject));

/** A subject key's first 12 bits. */
export const shelfNumberOf = (subject: Uint8Array): number =>
  ((subject[0] ?? 0) << 4) | ((subject[1] ?? 0) >> 4);

export const shelfNamed = (shelf: number): string => shelf.toString(16).padStart(3, "0");

/** True when a log may have records of a time, by its half-year. A log with a different kind of name may. */
function mayHold(log: string, from: number, to: number): boolean {
  const end = endOf(log);
  if (end === undefined) return true;
  const begin = new Date(end);
  begin.setUTCMonth(begin.getUTCMonth() - 6);
  return from <= end + LATE_RECORD_MS && to >= begin.getTime() - LONGEST_REQUEST_MS;
}

const placeOf = ({ subject, log, index, line }: LinePlace & { readonly subject: Uint8Array }) =>
  ["line", subject, log, index, line] as const;

interface SealedColumns {
  readonly salt: ArrayBuffer;
  readonly box: ArrayBuffer;
}

const boxOf = ({ salt, box }: SealedColumns) => ({
  salt: new Uint8Array(salt),
  box: new Uint8Array(box),
});

function readRow(
  plaintext: Uint8Array,
): readonly [Uint8Array, Uint8Array, number, Uint8Array[], Uint8Array | undefined] {
  // checked below; older rows have the proof of a line that is alone, too
  const [content, salt, lines = 1, path = [], consents] = (fromCbor(plaintext) ?? []) as unknown[];
  const isRow =
    content instanceof Uint8Array &&
    salt instanceof Uint8Array &&
    typeof lines === "number" &&
    Array.isArray(path) &&
    (consents === undefined || consents instanceof Uint8Array);
  if (!isRow || !path.every((hash): hash is Uint8Array => hash instanceof Uint8Array))
    throw new Error("accounting: a row does not read back");
  return [content, salt, lines, path, consents];
}
