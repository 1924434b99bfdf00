import type { Traffic } from "#audit/traffic/instruments";
import { addWithin, trafficMax } from "#audit/traffic/bounds";
import { addTraffic } from "#audit/traffic/count";
import { askSql, hasTable } from "#platform/ask-sql";
import { log } from "#platform/log";
import { within } from "#platform/within";
import type { TrafficBook, TrafficPart } from "./traffic-book.ts";

const schema = `
  CREATE TABLE IF NOT EXISTS traffic (frame INTEGER PRIMARY KEY, minute INTEGER NOT NULL,
    counts TEXT NOT NULL) STRICT;
`;
const ROWS_A_CALL = 1_000;
const PATIENCE_MS = 10_000;

/**
 * The numbers of a log's frames until the traffic book has them. A row is written in the transaction of its frame: a
 * restart finds each frame counted, and once.
 */
export class TrafficRows {
  readonly #sql: SqlStorage;
  readonly #log: string;
  readonly #book: () => Pick<DurableObjectStub<TrafficBook>, "take">;
  #exists: boolean;

  constructor(sql: SqlStorage, log: string, book: () => Pick<DurableObjectStub<TrafficBook>, "take">) {
    this.#sql = sql;
    this.#log = log;
    this.#book = book;
    this.#exists = hasTable(sql, "traffic");
  }

  /** Call inside the transaction of the frame. `seconds`: of the frame, since 1970. */
  insert(frame: number, seconds: number, traffic: readonly Traffic[]): void {
    const counts = new Map<string, number>();
    for (const each of traffic)
      for (const [series, n] of each) addWithin(counts, series, n, trafficMax.minute);
    if (counts.size === 0) return;
    if (!this.#exists) this.#sql.exec(schema);
    const text = JSON.stringify(Array.from(counts));
    this.#sql.exec("INSERT INTO traffic VALUES (?, ?, ?)", frame, Math.floor(seconds / 60), text);
  }

  /** Call after the transaction of the first `insert` succeeded. */
  created(): void {
    this.#exists ||= hasTable(this.#sql, "traffic");
  }

  /**
   * Hands the rows to the book, which adds each frame once, and deletes the rows that it has. True: it has all rows of
   * the call's begin; a later row has an alarm of its own. A failure is left for the next alarm.
   */
  async handOver(): Promise<boolean> {
    if (!this.#exists) return true;
    try {
      // Commits go on meanwhile: their rows would hold the alarm, which copies to R2.
      const [{ newest } = { newest: null }] = askSql(this.#sql)<{ newest: number | null }>`
        SELECT max(frame) AS newest FROM traffic`;
      for (;;) {
        const part = this.#nextPart(newest ?? -1);
        if (part === undefined) return true;
        const answer = this.#book().take(this.#log, part);
        const taken = await within(PATIENCE_MS, answer, "traffic: no answer in time");
        askSql(this.#sql)`DELETE FROM traffic WHERE frame <= ${taken}`;
      }
    } catch {
      log({ event: "traffic_hand_over_failed", log: this.#log });
      return false;
    }
  }

  #nextPart(newest: number): TrafficPart | undefined {
    const rows = askSql(this.#sql)<{ frame: number; minute: number; counts: string }>`
      SELECT * FROM traffic WHERE frame <= ${newest} ORDER BY frame LIMIT ${ROWS_A_CALL}`;
    const [first, last] = [rows[0]?.frame, rows.at(-1)?.frame];
    if (first === undefined || last === undefined) return undefined;
    const minutes = Array.from(
      Map.groupBy(rows, ({ minute }) => minute),
      ([minute, some]) => {
        const sum = new Map<string, number>();
        // `insert` wrote them
        for (const { counts } of some) addTraffic(sum, new Map(JSON.parse(counts) as [string, number][]));
        return { minute, counts: Array.from(sum) };
      },
    );
    return { first, last, minutes };
  }
}
