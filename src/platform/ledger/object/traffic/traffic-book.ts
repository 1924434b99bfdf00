import { DurableObject } from "cloudflare:workers";
import { addWithin, KnownSeries, trafficMax } from "#audit/traffic/bounds";
import { addTraffic } from "#audit/traffic/count";
import { type Series, type Traffic } from "#audit/traffic/instruments";
import { spanUnits, type TrafficAt, type TrafficSpan } from "#audit/traffic/span";
import { fromCbor, toCbor } from "#ledger/bytes/cbor";
import { type AskSql, askSql, hasTable } from "#platform/ask-sql";

/** The numbers of some frames of a log, in order. */
export interface TrafficPart {
  /** The first and the last frame. */
  readonly first: number;
  readonly last: number;
  readonly minutes: readonly {
    readonly minute: number; // since 1970-01-01 UTC
    readonly counts: readonly (readonly [Series, number])[];
  }[];
}

/** The name of the only object. */
export const TRAFFIC_BOOK = "traffic";

const schema = `
  CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    total INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS logs (log TEXT PRIMARY KEY, frame INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS minutes (at INTEGER PRIMARY KEY, counts BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS hours (at INTEGER PRIMARY KEY, counts BLOB NOT NULL) STRICT;
`;

/**
 * The numbers of all logs, by minute for 35 days and by hour for 13 months, and their totals. It has names and ids of
 * our own and numbers, nothing of a patient. Only the ledger's own worker has a binding to this class.
 */
export class TrafficBook extends DurableObject {
  readonly #ask: AskSql;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#ask = askSql(ctx.storage.sql);
  }

  /**
   * Adds the numbers of a log's frames and returns the last frame that is in the book. A repeat, also after a lost
   * answer, adds nothing: the caller drops the frames that the book has, and sends the rest.
   */
  take(log: string, { first, last, minutes }: TrafficPart): number {
    this.ctx.storage.sql.exec(schema);
    const [row] = this.#ask<{ frame: number }>`SELECT frame FROM logs WHERE log = ${log}`;
    if (row !== undefined && row.frame >= first) return row.frame;
    this.ctx.storage.transactionSync(() => {
      this.#add(minutes);
      this.#ask`INSERT INTO logs VALUES (${log}, ${last}) ON CONFLICT DO UPDATE SET frame = excluded.frame`;
      const now = Date.now();
      const { minute, hour } = spanUnits;
      this.#ask`DELETE FROM minutes WHERE at < ${Math.floor(now / minute.milliseconds) - minute.kept}`;
      this.#ask`DELETE FROM hours WHERE at < ${Math.floor(now / hour.milliseconds) - hour.kept}`;
    });
    return last;
  }

  /** The totals since this book began. */
  totals(): Traffic {
    if (!hasTable(this.ctx.storage.sql, "series")) return new Map();
    return new Map(this.#series().map(({ name, total }) => [name, total]));
  }

  /** The numbers of a span, oldest first. A bin without traffic is not in it. */
  span({ by, from, to, step = 1 }: TrafficSpan): readonly TrafficAt[] {
    if (!hasTable(this.ctx.storage.sql, "series")) return [];
    const names = new Map(this.#series().map(({ id, name }) => [id, name]));
    const rows =
      by === "minute"
        ? this.#ask<TimeRow>`SELECT * FROM minutes WHERE at BETWEEN ${from} AND ${to} ORDER BY at`
        : this.#ask<TimeRow>`SELECT * FROM hours WHERE at BETWEEN ${from} AND ${to} ORDER BY at`;
    const bins = new Map<number, Map<Series, number>>();
    for (const { at, counts } of rows) {
      const first = at - (at % step);
      const bin = bins.get(first) ?? new Map<Series, number>();
      addTraffic(bin, unpack(counts, names));
      bins.set(first, bin);
    }
    return Array.from(bins, ([at, counts]) => ({ at, counts }));
  }

  #series(): { readonly id: number; readonly name: Series; readonly total: number }[] {
    return this.#ask`SELECT * FROM series`;
  }

  #add(minutes: TrafficPart["minutes"]): void {
    const stored = this.#series();
    const known = new KnownSeries(stored.map(({ name }) => name));
    const ids = new Map(stored.map(({ name, id }) => [name, id]));
    const names = new Map(stored.map(({ name, id }) => [id, name]));
    const idOf = (series: Series): number => {
      const id = ids.get(series) ?? ids.size + 1;
      if (ids.has(series)) return id;
      this.#ask`INSERT INTO series VALUES (${id}, ${series}, 0)`;
      ids.set(series, id);
      names.set(id, series);
      return id;
    };
    const totals = new Map<Series, number>();
    for (const { minute, counts } of minutes) {
      const placed = counts.flatMap(([series, n]) => {
        const place = known.place(series);
        return place === undefined ? [] : [[place, n] as const];
      });
      for (const [series, n] of placed) totals.set(series, (totals.get(series) ?? 0) + n);
      const hour = Math.floor(minute / 60);
      const [inMinute] = this.#ask<TimeRow>`SELECT * FROM minutes WHERE at = ${minute}`;
      const [inHour] = this.#ask<TimeRow>`SELECT * FROM hours WHERE at = ${hour}`;
      const minuteBytes = added(inMinute, placed, trafficMax.minute, { names, idOf });
      const hourBytes = added(inHour, placed, trafficMax.hour, { names, idOf });
      this.#ask`INSERT OR REPLACE INTO minutes VALUES (${minute}, ${minuteBytes})`;
      this.#ask`INSERT OR REPLACE INTO hours VALUES (${hour}, ${hourBytes})`;
    }
    for (const [series, n] of totals)
      this.#ask`UPDATE series SET total = total + ${n} WHERE id = ${idOf(series)}`;
  }
}

interface TimeRow {
  readonly at: number;
  readonly counts: ArrayBuffer;
}

/** The bytes of a row with more numbers, by id: the difference to the id before, and the number. */
function added(
  row: TimeRow | undefined,
  more: readonly (readonly [Series, number])[],
  most: number,
  { names, idOf }: { readonly names: ReadonlyMap<number, Series>; readonly idOf: (series: Series) => number },
): Uint8Array {
  const numbers = new Map(row === undefined ? [] : unpack(row.counts, names));
  for (const [series, n] of more) addWithin(numbers, series, n, most);
  const byId = Array.from(numbers, ([series, n]) => [idOf(series), n] as const).sort(([a], [b]) => a - b);
  return toCbor(byId.flatMap(([id, n], i) => [id - (byId[i - 1]?.[0] ?? 0), n]));
}

function unpack(counts: ArrayBuffer, names: ReadonlyMap<number, Series>): Map<Series, number> {
  const flat = fromCbor(new Uint8Array(counts)) as readonly number[]; // `added` wrote it
  const numbers = new Map<Series, number>();
  let id = 0;
  for (let i = 0; i + 1 < flat.length; i += 2)
    numbers.set(names.get((id += flat[i] ?? 0)) ?? "", flat[i + 1] ?? 0);
  return numbers;
}
